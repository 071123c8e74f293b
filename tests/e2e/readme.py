"""Runs the commands of an example's README and compares what they print with what the page shows.

Fenced blocks matter by their info string: ```sh is run with bash in a copy of the example, ```sh background is started and
goes on, ```text after it is what it prints. After something was started, a block is repeated until it prints what the page shows.

FRESHET_WRITE_EXAMPLES=1 writes what was printed into the pages instead of comparing.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

import pytest

BLOCK = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.S | re.M)
WRITE = os.environ.get("FRESHET_WRITE_EXAMPLES")
DEADLINE = 60


class Readme:
    def __init__(self, example, folder, program):
        """Copies the example into folder; program is the freshet that its commands call."""
        self.page = pathlib.Path(example) / "README.md"
        self.folder = pathlib.Path(folder)
        shutil.copytree(example, self.folder, ignore=shutil.ignore_patterns("landing", "warehouse"))
        self.env = {**os.environ, "PATH": f"{pathlib.Path(program).parent}:{os.environ['PATH']}", "NO_COLOR": "1", "TZ": "UTC"}
        self.started = []

    def bash(self, script, timeout=120):
        """Standard output, and error output of freshet only when the page asks for it with 2>&1."""
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=self.folder, env=self.env, capture_output=True,
                              text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if done.returncode:
            pytest.fail(f"{self.page}: exit {done.returncode}\n{script}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def start(self, script):
        log = open(self.folder / "background.log", "wb")
        process = subprocess.Popen(["bash", "-c", f"exec {script}"], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                   stderr=log, start_new_session=True)
        self.started.append(process)
        return process

    def stop(self, number=signal.SIGINT):
        """Ends what was started; a process that was asked to stop has to end with 0."""
        for process in self.started:
            os.killpg(process.pid, number)
            code = process.wait(DEADLINE)
            assert code == (0 if number == signal.SIGINT else -number), (self.folder / "background.log").read_text()
        self.started.clear()

    def close(self):
        for process in self.started:
            process.kill()
            process.wait()

    def run(self):
        text = self.page.read_text()
        blocks = list(BLOCK.finditer(text))
        printed = {}
        for block, following in zip(blocks, blocks[1:] + [None]):
            if block[1] != "sh":
                continue
            if block[2].strip() == "background":
                self.start(block[3].strip())
                continue
            shown = following if following is not None and following[1] == "text" else None
            output = self.until(block[3], shown[3] if shown else None)
            if shown:
                printed[shown.start(3), shown.end(3)] = output
        for (start, end), output in sorted(printed.items(), reverse=True) if WRITE else ():
            text = text[:start] + output + text[end:]
        if WRITE:
            self.page.write_text(text)

    def until(self, script, expected):
        deadline = time.monotonic() + (DEADLINE if self.started and expected and not WRITE else 0)
        output = self.bash(script)
        if WRITE and self.started:  # nothing to wait for is known: settle first
            time.sleep(2)
            queries = "\n".join(line for line in script.splitlines() if line.startswith("freshet sql"))
            output = self.bash(queries)
        queries = "\n".join(line for line in script.splitlines() if line.startswith("freshet sql"))
        while expected is not None and output != expected and time.monotonic() < deadline:
            time.sleep(0.05)
            output = self.bash(queries)
        if expected is not None and not WRITE:
            assert output == expected, f"{self.page}: {script}"
        return output
