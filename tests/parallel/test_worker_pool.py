"""Within `kept_workers` the processes of one call serve the next; they end with the block, dead ones are replaced."""

import os
import signal
import tempfile
import time
from pathlib import Path

import pytest

from gbvnet.parallel import worker_pool
from gbvnet.parallel.tasks import run
from gbvnet.parallel.worker_pool import kept_workers

pytestmark = pytest.mark.journey  # each starts processes


def pid(folder):
    """The process, once two have begun."""
    (folder / str(os.getpid())).touch()
    until = time.monotonic() + 60
    while len(list(folder.iterdir())) < 2 and time.monotonic() < until:
        time.sleep(0.01)
    return os.getpid()


def kill(_):
    os.kill(os.getpid(), signal.SIGKILL)


def pids(jobs=2):
    with tempfile.TemporaryDirectory() as folder:
        return {process for _, process in run(pid, [Path(folder)] * 4, jobs)}


def alive(process):
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_calls_within_a_block_share_their_workers_which_end_with_it():
    with kept_workers():
        first = pids()
        with kept_workers():
            assert pids() == first
        assert pids() == first and all(map(alive, first))
    assert not any(map(alive, first))
    assert not pids() & first


def test_a_function_can_keep_workers_and_they_end_if_it_fails():
    processes = set()

    @kept_workers()
    def fail():
        processes.update(pids())
        raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert processes and not any(map(alive, processes))


def test_a_call_with_more_jobs_gets_workers_of_its_own_and_the_others_end():
    with kept_workers():
        first = pids(2)
        second = pids(3)
        assert not first & second and not any(map(alive, first))


def test_a_worker_that_was_killed_between_two_calls_is_replaced():
    with kept_workers():
        first = pids()
        os.kill(min(first), signal.SIGKILL)
        wait_for_end(min(first))
        second = pids()
        assert not first & second
        assert not any(map(alive, first))


def test_workers_are_not_kept_after_one_of_them_died_or_a_loop_was_left():
    with kept_workers():
        first = pids()
        list(run(kill, range(2), 2))
        assert worker_pool._kept.pool is None
        assert not first & pids()
        for _ in run(abs, range(4), 2):
            break
        assert worker_pool._kept.pool is None


def wait_for_end(process, seconds=30):
    """Wait until a child that was killed has ended and its pool knows it."""
    until = time.monotonic() + seconds
    while worker_pool._kept.pool.is_whole:
        assert time.monotonic() < until, f"process {process} still runs"
        time.sleep(0.01)
