"""Runs a command and watches the whole tree of its processes: wall time, CPU seconds, peak of resident memory."""
import os
import signal
import subprocess
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
PERIOD = 0.02


def children(pid):
    found = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as file:
                found += [int(child) for child in file.read().split()]
    except OSError:
        pass
    return found


def tree(pid):
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        todo += children(found[-1])
    return found


def figures(pid):
    """CPU seconds of a process, its resident bytes now and at most; None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        with open(f"/proc/{pid}/status") as file:
            most = [int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")]
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE, sum(most)


class Watched:
    """A running command. cpu() and resident() may be asked at any time."""

    def __init__(self, command, log, env=None):
        self.cpu_of, self.peak, self.now = {}, 0, 0
        self.started = time.monotonic()
        with open(log, "wb") as out:
            self.popen = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        pids, rescan = [self.popen.pid], 0
        while not self.ended.wait(PERIOD):
            if time.monotonic() >= rescan:  # a tree changes rarely, and walking it costs more than reading it
                pids, rescan = tree(self.popen.pid), time.monotonic() + 0.2
            self._sample(pids)

    def _sample(self, pids):
        total = 0
        for pid in pids:
            if (now := figures(pid)) is not None:
                self.cpu_of[pid] = max(self.cpu_of.get(pid, 0), now[0])
                total += now[1]
                self.peak = max(self.peak, now[2])
        self.now = total
        self.peak = max(self.peak, total)

    def cpu(self):
        self._sample(tree(self.popen.pid))
        return sum(self.cpu_of.values())

    def resident(self):
        self._sample(tree(self.popen.pid))
        return self.now

    def running(self):
        return self.popen.poll() is None

    def wait(self):
        """(exit code, wall seconds, CPU seconds, peak bytes).

        CPU is the kernel's own count where it knows more than the samples. Its ru_maxrss is of no use here: a new process
        inherits it, so it is at least what this one had.
        """
        _, status, usage = os.wait4(self.popen.pid, 0)
        wall = time.monotonic() - self.started
        self.ended.set()
        self.thread.join()
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        cpu = max(sum(self.cpu_of.values()), usage.ru_utime + usage.ru_stime)
        return self.popen.returncode, wall, cpu, self.peak

    def end(self):
        """Asks the tree to end, then makes sure."""
        pids = tree(self.popen.pid)
        for pid in reversed(pids):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                pass
        try:
            self.popen.wait(30)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self.ended.set()
        self.thread.join()
