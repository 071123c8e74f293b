"""freshet sql on a terminal: statements over several lines, Ctrl-C, words that leave."""
import os
import pathlib
import pty
import select
import signal
import time

import pytest

from conftest import PROGRAM


@pytest.fixture
def prompt(warehouse, tmp_path):
    """talk(line, ..., until=text): writes lines, waits for each answer's prompt; returns all that was shown."""
    try:
        pid, terminal = pty.fork()
    except OSError as e:
        pytest.skip(f"no terminal can be opened here: {e}")
    if pid == 0:
        os.environ.update(HOME=str(tmp_path), TERM="dumb", NO_COLOR="1")
        os.execv(PROGRAM, [str(PROGRAM), "sql", "--warehouse", str(warehouse)])
    shown = bytearray()

    def wait_for(text):
        deadline = time.monotonic() + 30
        while text.encode() not in shown and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                try:
                    shown.extend(os.read(terminal, 65536))
                except OSError:  # the other end is closed
                    break
        answer = shown.decode(errors="replace")
        assert text in answer, answer
        shown.clear()
        return answer.replace("\r\n", "\n")

    def talk(line, until="\nfreshet> "):
        os.write(terminal, line.encode())
        return wait_for(until.replace("\n", "\r\n"))

    def ended():
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                return os.waitstatus_to_exitcode(status)
            if select.select([terminal], [], [], 0.05)[0]:
                try:
                    os.read(terminal, 65536)
                except OSError:
                    pass
        os.kill(pid, signal.SIGKILL)
        return None

    def busy():
        """Waits until it works: it has used some milliseconds of CPU more."""
        def ticks():
            return sum(map(int, pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]))
        before, deadline = ticks(), time.monotonic() + 30
        while ticks() == before and time.monotonic() < deadline:
            time.sleep(0.001)

    talk.ended, talk.busy = ended, busy
    wait_for("freshet> ")
    yield talk
    os.close(terminal)
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        pass


def test_statements_end_where_they_end(prompt):
    assert "...> " in prompt("SELECT 'first;\n", until="...> ")
    assert "first; second" in prompt("second' AS x;  -- a comment;\n")
    assert "never closed" not in prompt("SELECT 1 AS a; SELECT 2 AS b;\n")
    assert 'no statement starts with "selec"' in prompt("selec 1;\n")
    assert "7" in prompt("SELECT 7;\n")


def test_ctrl_c_stops_the_statement_and_not_the_prompt(prompt):
    prompt("SELECT count(*) FROM range(1000000000000) t(i) WHERE hash(i) % 13 = 5;\n", until="= 5;\n")
    prompt.busy()  # before it has taken the line, Ctrl-C has no statement to stop
    assert "FR-BASE-004" in prompt("\x03")
    assert "42" in prompt("SELECT 42 AS n;\n")


@pytest.mark.parametrize("word", ["exit", "quit;", "\\q", "\x04"])
def test_ways_out(prompt, word):
    assert "SHOW TABLES" in prompt("help\n")
    prompt(word if word == "\x04" else word + "\n", until="")
    assert prompt.ended() == 0
