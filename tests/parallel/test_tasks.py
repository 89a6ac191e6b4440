"""Tasks end in any order, one bad one stops none, a dead process is reported, an orphan does not linger."""

import gc
import logging
import os
import signal
import subprocess
import sys
import time
import weakref
from pathlib import Path

import pytest

from gbvnet.errors import BadRecording
from gbvnet.parallel import tasks
from gbvnet.parallel.tasks import TaskDied, available_cores, run, threads_per_task

pytestmark = pytest.mark.journey  # each starts processes


def square(x):
    if x == 3:
        raise BadRecording("three", "another number", "3")
    return x * x


def threads(_):
    return os.environ["OMP_NUM_THREADS"]


def gpu_of(task):
    """The GPU that a process sees, once as many tasks have begun as there are processes."""
    folder, name = task
    (folder / name).touch()
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 3 and time.monotonic() < until:
        time.sleep(0.01)
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def die_once(folder):
    if not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "lived"


def die_always(x):
    if x == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return x


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_with_their_items_and_an_error_is_one_of_them(jobs):
    got = dict(run(square, range(5), jobs))
    assert {x: got[x] for x in (0, 1, 2, 4)} == {0: 0, 1: 1, 2: 4, 4: 16}
    assert isinstance(got[3], BadRecording) and "three: expected another number" in str(got[3])


def test_each_process_gets_its_share_of_the_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert dict(run(threads, range(2), 2)) == dict.fromkeys(range(2), str(threads_per_task(2)))
    assert threads_per_task(1000) == 1 and threads_per_task(1) == available_cores()


@pytest.mark.parametrize(("given", "used"), [("1", 1), ("2", 2), ("2,1", 2), ("", 3), ("none", 3), ("0", 3)])
def test_the_users_limit_of_threads_is_the_most_that_is_used(given, used):
    code = "import torch; from gbvnet.parallel import tasks; tasks.limit_threads(3); print(torch.get_num_threads())"
    environment = {**os.environ, "OMP_NUM_THREADS": given}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(shown.stdout) == used


RESTORED = """
import os, torch, cv2, numpy
from threadpoolctl import threadpool_info
from gbvnet.parallel import tasks
def state():
    pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
    variables = {name: value for name, value in os.environ.items() if "THREADS" in name}
    return torch.get_num_threads(), cv2.getNumThreads(), pools, variables
torch.set_num_threads(3)
cv2.setNumThreads(5)
os.environ["MKL_NUM_THREADS"] = "7"
before = state()
try:
    with tasks.threads_restored():
        tasks.limit_threads(2)
        assert torch.get_num_threads() == 2 and os.environ["MKL_NUM_THREADS"] == "2"
        raise ValueError
except ValueError:
    pass
assert state() == before, (state(), before)
assert "OMP_NUM_THREADS" not in os.environ and os.environ["MKL_NUM_THREADS"] == "7"
"""


def test_the_callers_numbers_of_threads_come_back():
    environment = {name: value for name, value in os.environ.items() if "THREADS" not in name}
    subprocess.run([sys.executable, "-c", RESTORED], env=environment, check=True)


@pytest.mark.parametrize(
    ("gpus", "uses_gpu", "expected"),
    [
        (["2", "5"], True, ["2", "2", "5"]),  # three processes share out two GPUs
        (["7"], True, [None] * 3),  # one GPU: all have it, as it is
        (["2", "5"], False, [None] * 3),
    ],
    ids=["two", "one", "unused"],
)
def test_processes_share_out_the_gpus(monkeypatch, tmp_path, gpus, uses_gpu, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(tasks, "visible_gpus", lambda: gpus)
    got = [gpu for _, gpu in run(gpu_of, [(tmp_path, name) for name in "abc"], 3, uses_gpu=uses_gpu)]
    assert sorted(got, key=str) == expected


@pytest.mark.parametrize(
    ("given", "n", "expected"),
    [(None, 2, ["0", "1"]), ("3, 1", 2, ["3", "1"]), ("", 0, []), ("0,9", 1, ["0"]), (None, 0, [])],
)
def test_gpus_have_the_names_that_processes_are_given(monkeypatch, given, n, expected):
    import torch  # here, as processes that are started import this file

    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if given is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", given)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n)
    assert tasks.visible_gpus() == expected


class Ring:
    def __init__(self):
        self.itself = self


LIVE = []  # references to the rings that were made in this process


def make_a_ring(fails):
    ring = Ring()
    LIVE.append(weakref.ref(ring))
    if fails:
        try:
            raise RuntimeError
        except RuntimeError as error:
            raise BadRecording("it", "a ring", "none") from error


def in_a_worker(item, uses_gpu):
    return tasks._RemoteCall(make_a_ring, uses_gpu=uses_gpu)(item).outcome


def in_this_process(item, uses_gpu):
    return dict(run(make_a_ring, [item], uses_gpu=uses_gpu))[item]


@pytest.mark.parametrize("call", [in_a_worker, in_this_process])
@pytest.mark.parametrize(("uses_gpu", "used"), [(True, True), (True, False), (False, True)])
def test_what_a_task_held_on_a_gpu_is_freed_after_it_and_others_do_not_wait_for_that(monkeypatch, uses_gpu, used, call):
    import torch

    freed, expected = [], uses_gpu and used
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: used)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: freed.append(True))
    gc.disable()
    try:
        assert call(False, uses_gpu) is None
        assert (LIVE.pop()() is None) == expected
        outcome = call(True, uses_gpu)
        assert isinstance(outcome, BadRecording) and (LIVE.pop()() is None) == expected
    finally:
        gc.enable()
    assert freed == [True, True] * expected


def test_a_call_leaves_the_level_of_the_log_as_it_was(monkeypatch):
    logger = logging.getLogger(tasks.LOGGER)
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    assert tasks._RemoteCall(square, level=logging.ERROR)(2).outcome == 4
    assert logger.level == logging.NOTSET


def test_a_task_whose_process_died_is_tried_again(tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    assert set(dict(run(die_once, folders, 2)).values()) == {"lived"}


def test_a_task_that_always_dies_is_given_up_and_the_others_are_done():
    got = dict(run(die_always, range(6), 2))
    assert isinstance(got[1], TaskDied) and "died 3 times" in str(got[1])
    assert [got[x] for x in (2, 3, 4, 5)] == [2, 3, 4, 5]


def test_the_innocent_are_not_given_up_with_the_guilty():
    got = dict(run(die_always, range(1, 4), jobs=1, isolate=True))
    assert isinstance(got[1], TaskDied)
    assert (got[2], got[3]) == (2, 3)


UNGUARDED = {
    "run": "from gbvnet.parallel.tasks import run\nlist(run(abs, [-1, 2], 2))\n",
    "isolate": "from gbvnet.parallel.tasks import run\nlist(run(abs, [-1], 1, isolate=True))\n",
    "prepare": "from gbvnet import prepare_store\nfrom gbvnet.config import PrepareConfig\n"
    "from gbvnet.datasets import open_corpus\n"
    "prepare_store(open_corpus('deap', sys.argv[1]), sys.argv[2], PrepareConfig(faces=False), jobs=2)\n",
}


@pytest.mark.parametrize("what", UNGUARDED)
def test_a_script_without_a_main_guard_ends_with_a_message_and_leaves_nothing_finished(deap, tmp_path, what):
    script = tmp_path / "script.py"
    script.write_text("import sys\nprint('begun')\n" + UNGUARDED[what])
    ran = subprocess.run(
        [sys.executable, script, deap, tmp_path / "store"], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 1
    last = ran.stderr.strip().splitlines()[-1]
    assert last.startswith("gbvnet.errors.GbvnetError: the worker processes ended before their first task.")
    assert '`if __name__ == "__main__":`' in last
    assert ran.stderr.count("Traceback") == 1  # the workers, which repeat the script, end quietly
    assert not (tmp_path / "store/windows.parquet").exists()


def test_processes_end_when_their_parent_is_killed(tmp_path):
    script = tmp_path / "parent.py"
    script.write_text(
        "import os, sys, time\n"
        "from gbvnet.parallel.tasks import run\n"
        "def work(x):\n"
        "    open(sys.argv[1] + f'/{os.getpid()}', 'w').close()\n"
        "    time.sleep(60)\n"
        "if __name__ == '__main__':\n"
        "    list(run(work, range(2), 2))\n"
    )
    pids = tmp_path / "pids"
    pids.mkdir()
    parent = subprocess.Popen([sys.executable, script, pids])
    wait_for(lambda: len(list(pids.iterdir())) == 2)
    parent.kill()
    parent.wait()
    wait_for(lambda: not any(alive(int(p.name)) for p in pids.iterdir()))


def wait_for(true, seconds=30):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")  # in a container nobody may collect the dead
    return not stat.exists() or stat.read_text().split()[2] != "Z"
