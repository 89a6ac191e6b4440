"""Other programs end with the process that started them, whichever way that ends."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from gbvnet.parallel.programs import run_program
from gbvnet.parallel.worker_pool import WorkerPool, WorkerSettings

from .test_tasks import alive, wait_for

pytestmark = pytest.mark.journey  # each starts processes

# A program, and another one that it starts: both are to end. Its folder is temporary.
WORDS = ["sh", "-c", 'sleep 60 & echo $$ $! > "$0.new"; mv "$0.new" "$0"; wait']


def work(root):
    folder = root / "temporary"
    folder.mkdir()
    return run_program([*WORDS, str(root / "pids")], [folder]).returncode


def begin(number):
    pass


def pids(root):
    wait_for((root / "pids").exists)
    return [int(pid) for pid in (root / "pids").read_text().split()]


def require_ended(root, processes):
    wait_for(lambda: not any(map(alive, processes)))
    wait_for(lambda: not (root / "temporary").exists())


def test_what_a_program_writes_and_its_status_are_returned():
    before = signal.getsignal(signal.SIGTERM)
    done = run_program(["sh", "-c", "echo one; echo two >&2; cat; exit 3"])
    assert (done.stdout, done.stderr, done.returncode) == ("one\n", "two\n", 3)
    with pytest.raises(OSError, match="No such file"):
        run_program(["no-such-program-here"])
    assert signal.getsignal(signal.SIGTERM) == before


def test_a_program_ends_when_its_worker_is_stopped(tmp_path):
    pool = WorkerPool(WorkerSettings(1, begin))
    pool.submit(work, tmp_path)
    processes = pids(tmp_path)
    assert all(map(alive, processes))
    pool.stop()
    require_ended(tmp_path, processes)


def test_a_program_ends_when_the_parent_of_its_worker_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {os.getcwd()!r})\n"
        "from gbvnet.parallel.worker_pool import WorkerPool, WorkerSettings\n"
        "from tests.parallel.test_programs import begin, work\n"
        "if __name__ == '__main__':\n"
        "    pool = WorkerPool(WorkerSettings(1, begin))\n"
        "    pool.submit(work, Path(sys.argv[1])).result()\n"
    )
    parent = subprocess.Popen([sys.executable, script, tmp_path])
    processes = pids(tmp_path)
    parent.kill()
    parent.wait()
    require_ended(tmp_path, processes)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_program_ends_when_its_process_is_interrupted_or_terminated(tmp_path, number):
    code = (
        f"import signal, sys; sys.path.insert(0, {os.getcwd()!r}); from pathlib import Path\n"
        "from gbvnet.parallel.programs import run_program\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore interrupts\n"
        f"run_program([*{WORDS!r}, sys.argv[1]], [Path(sys.argv[2])])"
    )
    (tmp_path / "temporary").mkdir()
    words = [sys.executable, "-c", code, str(tmp_path / "pids"), str(tmp_path / "temporary")]
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    processes = pids(tmp_path)
    process.send_signal(number)
    assert process.wait(30) == -number
    wait_for(lambda: not any(map(alive, processes)))
    assert (tmp_path / "temporary").exists() == (number == signal.SIGINT)  # an exception: its owner deletes it


def test_a_program_may_be_interrupted_although_workers_ignore_that_and_threads_may_start_one():
    shows = [sys.executable, "-c", "import signal; print(signal.getsignal(signal.SIGINT) == signal.SIG_IGN)"]
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert run_program(shows).stdout == "False\n"
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    outputs = []
    thread = threading.Thread(target=lambda: outputs.append(run_program(["echo", "x"]).stdout))
    thread.start()
    thread.join()
    assert outputs == ["x\n"]
