"""libfreshet for Python tests, by ctypes: an engine in this process, with failpoints that return and a clock that obeys."""
import ctypes
import json
import os
import pathlib
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LIBRARY = pathlib.Path(os.environ.get("FRESHET", ROOT / "build/freshet")).absolute().parent / "libfreshet.so"
CONTINUOUS, AVAILABLE_NOW, ONCE = 0, 1, 2

ROW = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.POINTER(ctypes.c_char), ctypes.c_size_t)
PROGRESS = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p)


class CError(ctypes.Structure):
    _fields_ = [("code", ctypes.c_char * 16), ("message", ctypes.c_char * 4096), ("hint", ctypes.c_char * 1024),
                ("file", ctypes.c_char * 512), ("line", ctypes.c_int), ("column", ctypes.c_int)]


class CConfig(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("warehouse", ctypes.c_char_p), ("memory_bytes", ctypes.c_int64),
                ("threads", ctypes.c_int)]


class FreshetError(Exception):
    def __init__(self, error):
        self.code, self.message, self.hint = (f.decode(errors="replace") for f in (error.code, error.message, error.hint))
        self.line, self.column = error.line, error.column
        super().__init__(f"{self.code}: {self.message} ({self.hint})")


class Engine:
    """One engine over a warehouse; use with `with`."""

    def __init__(self, warehouse, memory_bytes=0, threads=0):
        self.c = ctypes.CDLL(str(LIBRARY))
        self.c.freshet_version.restype = ctypes.c_char_p
        for name in ("freshet_close", "freshet_pipeline_close", "freshet_pipeline_stop"):
            getattr(self.c, name).argtypes, getattr(self.c, name).restype = [ctypes.c_void_p], None
        self.c.freshet_set_clock.argtypes, self.c.freshet_set_clock.restype = [ctypes.c_int64], None
        self.handle = ctypes.c_void_p()
        config = CConfig(ctypes.sizeof(CConfig), str(warehouse).encode(), memory_bytes, threads)
        self._call("freshet_open", ctypes.byref(config), ctypes.byref(self.handle))

    def _call(self, name, *arguments):
        error = CError()
        if getattr(self.c, name)(*arguments, ctypes.byref(error)) != 0:
            raise FreshetError(error)

    @property
    def version(self):
        return self.c.freshet_version().decode()

    def sql(self, text):
        """Rows of all statements, as dicts."""
        rows = []

        def on_row(_, data, length):
            rows.append(json.loads(ctypes.string_at(data, length)))
            return 0

        self._call("freshet_execute", self.handle, text.encode(), ROW(on_row), None)
        return rows

    def _pipeline(self, text):
        pipeline = ctypes.c_void_p()
        self._call("freshet_pipeline_open", self.handle, b"pipeline.sql", text.encode(), ctypes.byref(pipeline))
        return pipeline

    def run(self, text, mode=AVAILABLE_NOW):
        """Runs a pipeline to its end; the progress objects of its batches."""
        batches, pipeline = [], self._pipeline(text)
        on_progress = PROGRESS(lambda _, flow, progress: batches.append(json.loads(progress)))
        try:
            self._call("freshet_pipeline_run", pipeline, mode, on_progress, None)
        finally:
            self.c.freshet_pipeline_close(pipeline)
        return batches

    def explain(self, text):
        buffer, pipeline = ctypes.create_string_buffer(1 << 20), self._pipeline(text)
        try:
            self._call("freshet_pipeline_explain", pipeline, buffer, ctypes.c_size_t(len(buffer)))
        finally:
            self.c.freshet_pipeline_close(pipeline)
        return buffer.value.decode()

    def failpoint(self, name=None, action="fail", hit=1):
        self._call("freshet_failpoint", name.encode() if name else None, action.encode(), hit)

    def set_clock(self, micros):
        self.c.freshet_set_clock(micros)

    def close(self):
        self.failpoint()
        self.set_clock(0)
        self.c.freshet_close(self.handle)
        self.handle = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def next_tick(folder):
    """Waits until a file that is written now is younger than all before it: a stream that begins with the files of a table
    takes them by their time, and the kernel's is some milliseconds coarse."""
    probe = pathlib.Path(folder) / ".tick"
    probe.touch()
    before = probe.stat().st_mtime_ns // 1_000_000
    while probe.stat().st_mtime_ns // 1_000_000 == before:
        time.sleep(0.0005)
        probe.touch()
