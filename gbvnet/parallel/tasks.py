"""How many recordings or fold trainings run at once, and where: in this process, in local processes, or on a cluster.

Whoever has tasks takes `jobs`, a number of local processes or a Cluster, hands it to `run`, and need not know which.
"""

import logging
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

from ..errors import GbvnetError, TaskDied, os_error_message
from .ray_cluster import Cluster

log = logging.getLogger(__name__)
LOGGER = "gbvnet"  # whose lines a task brings back

Item = TypeVar("Item")
Jobs = int | Cluster
MAX_ATTEMPTS = 3  # a task whose process died (out of memory, say) is tried again, and then given up with the reason

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def available_cores() -> int:
    """Cores this process may use, which on a shared machine are fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads_per_task(jobs: Jobs) -> int:
    """Threads of one task."""
    return jobs.cpus_per_task if isinstance(jobs, Cluster) else max(1, available_cores() // max(1, jobs))


def tasks_per_machine(jobs: Jobs) -> int:
    """How many tasks share the memory of this machine; a task asks on its own node."""
    return max(1, available_cores() // jobs.cpus_per_task if isinstance(jobs, Cluster) else jobs)


def parallel_trainings(jobs: Jobs) -> int:
    """How many trainings run at once."""
    return max(1, jobs.room() if isinstance(jobs, Cluster) else jobs)


def limit_threads(threads: int) -> None:
    """Give torch, BLAS and OpenCV this many threads, loaded already or not.

    Without this each process takes every core: two trainings on two cores then took 13 times as long.
    """
    for name in (*_THREAD_VARIABLES, "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(threads)
    if "numpy" in sys.modules or "scipy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(threads)


def run(
    function: Callable[[Item], Any], items: Iterable[Item], jobs: Jobs = 1, apart: bool = False, trains: bool = False
) -> Iterator[tuple[Item, Any | GbvnetError]]:
    """Call `function` on each item, `jobs` at once, and yield (item, result) as they end, in no fixed order.

    apart : use another process even for one job, as where a damaged video may crash the library that decodes it
    trains : a task has a use for a GPU

    A GbvnetError comes back as the result, as does a full disk or want of memory, so that one bad item does not stop
    the others; any other exception is a fault of ours and is raised. With one job everything happens in this process.
    `function` and the items must be picklable. What a task elsewhere logs is logged here when it ends. Leaving the loop
    early, or Ctrl-C, stops the other processes at once.
    """
    _stop_if_imported()
    items = list(items)
    if isinstance(jobs, Cluster):
        for i, told in jobs.run(_RemoteCall(function, jobs.cpus_per_task), items, MAX_ATTEMPTS, trains):
            yield items[i], _log_and_unpack(told)
        return
    if not apart and (jobs <= 1 or len(items) <= 1):
        for item in items:
            yield item, _call(function, item)
        return
    left = list(range(len(items)))
    while left:
        suspects: list[int] = []  # those that a process was at when one died; which of them killed it is not told
        for i, outcome in _run_pool(function, items, left, jobs, suspects):
            left.remove(i)
            yield items[i], outcome
        for i in suspects:
            left.remove(i)
            yield items[i], _run_in_own_process(function, items[i], threads_per_task(jobs))


def _stop_if_imported() -> None:
    """End this process if it is a worker that still imports the user's script, whose commands it must not repeat."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself finds out
        raise SystemExit(1)


def _require_started(started: Any) -> None:
    """Raise GbvnetError if no worker of a pool that broke had begun: nothing that it was given can be the reason."""
    if not started.is_set():
        raise GbvnetError(
            "the worker processes ended before they began to work. Each of them imports the script that was started: "
            'it must be a file, with all that it does below `if __name__ == "__main__":`. If it is so already, there '
            "is not enough memory to start them: use fewer jobs"
        ) from None


def _run_pool(
    function: Callable[[Item], Any], items: list[Item], todo: list[int], jobs: int, suspects: list[int]
) -> Iterator[tuple[int, Any]]:
    """One pool's life. It ends early when a process of it dies, and then fills `suspects`."""
    pool, started = _make_pool(min(jobs, len(todo)), threads_per_task(jobs))
    futures: dict[Future, int] = {}
    try:
        for i in list(todo):
            futures[pool.submit(_RemoteCall(function), items[i])] = i
        while futures:
            ended, _ = wait(futures, return_when=FIRST_COMPLETED)
            for future in ended:
                outcome = _log_and_unpack(future.result())
                yield futures.pop(future), outcome
    except BrokenProcessPool:
        _require_started(started)
        suspects += list(futures.values())[: 2 * max(1, jobs)]  # in the order in which they were handed out
        log.warning("a process died; what it was at is tried again by itself")
    finally:
        _stop_pool(pool)


def _run_in_own_process(function: Callable[[Item], Any], item: Item, threads: int) -> Any | GbvnetError:
    for _ in range(MAX_ATTEMPTS - 1):  # it was tried once, in company
        pool, started = _make_pool(1, threads)
        try:
            return _log_and_unpack(pool.submit(_RemoteCall(function), item).result())
        except BrokenProcessPool:
            _require_started(started)
        finally:
            _stop_pool(pool)
    return TaskDied(f"{item}: its process was killed {MAX_ATTEMPTS} times; is there enough memory, is the file sound?")


def _make_pool(processes: int, threads: int) -> tuple[ProcessPoolExecutor, Any]:
    """A pool, and an event that is set once one of its processes has begun to work."""
    context = multiprocessing.get_context("spawn")  # fork breaks BLAS and OpenCV threads
    started = context.Event()
    initargs = (threads, started)
    return ProcessPoolExecutor(max(1, processes), context, initializer=_begin_worker, initargs=initargs), started


def _stop_pool(pool: ProcessPoolExecutor) -> None:
    workers = list((pool._processes or {}).values())  # no public way before Python 3.14
    pool.shutdown(wait=False, cancel_futures=True)
    for process in workers:
        process.terminate()
    for process in workers:
        process.join(5)


def _call(function: Callable[[Item], Any], item: Item) -> Any | GbvnetError:
    try:
        return function(item)
    except GbvnetError as e:
        return e
    except (OSError, MemoryError, RuntimeError) as e:
        told = os_error_message(e)
        if told is None:
            raise
        return GbvnetError(told)


@dataclass(frozen=True)
class _RemoteCall:
    """Picklable: calls a function in another process, and brings back what was logged with what came of it."""

    function: Callable[[Any], Any]
    threads: int | None = None  # where nobody has seen to it before
    level: int = field(default_factory=lambda: logging.getLogger(LOGGER).getEffectiveLevel())

    def __call__(self, item: Any) -> "_TaskResult":
        logger, kept = logging.getLogger(LOGGER), _LogCollector()
        logger.addHandler(kept)
        logger.setLevel(self.level)
        if self.threads:
            limit_threads(self.threads)
        try:
            return _TaskResult(_call(self.function, item), kept.lines)
        finally:
            logger.removeHandler(kept)


class _TaskResult(NamedTuple):
    outcome: Any
    lines: list[tuple[int, str]]  # level and text


class _LogCollector(logging.Handler):
    """Keeps lines until they can be told."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, self.format(record)))


def _log_and_unpack(told: Any) -> Any:
    """Log here what was logged there. TaskDied comes from nobody."""
    if not isinstance(told, _TaskResult):
        return told
    for level, line in told.lines:
        log.log(level, "%s", line)
    return told.outcome


def _begin_worker(threads: int, started: Any) -> None:
    import signal

    started.set()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    limit_threads(threads)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """A parent that is killed cannot stop its workers; an orphan would hold its lock and its memory for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
