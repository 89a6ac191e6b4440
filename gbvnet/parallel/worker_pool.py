"""Pools of worker processes. A worker starts in about two seconds, as it imports torch: several calls can share a pool.

`kept_workers` keeps a pool between calls of `tasks.run`: a comparison of twenty systems starts its workers once.
"""

import multiprocessing
import multiprocessing.connection
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

MOST_ON_WINDOWS = 61  # processes of a pool: Windows waits for no more at once
LAST_S = 10.0  # from SIGTERM to the end of a worker whose parent was killed
BeginWorker = Callable[..., None]  # called in each worker first: with its number, from 0 on, and further arguments


@dataclass(frozen=True)
class WorkerSettings:
    """What workers are started with. Pools of equal settings are interchangeable.

    processes : at most so many; each is started when it is first needed
    begin, arguments : called in each worker first, as begin(number of the worker, *arguments)
    """

    processes: int
    begin: BeginWorker
    arguments: tuple[Any, ...] = ()


class WorkerPool:
    """Worker processes that end with this process, also if it is killed."""

    def __init__(self, settings: WorkerSettings) -> None:
        context = multiprocessing.get_context("spawn")  # fork breaks BLAS and OpenCV threads
        self.settings = settings
        self._started = context.Event()
        initargs = (settings.begin, settings.arguments, context.Value("i", 0), self._started)
        processes = min(settings.processes, MOST_ON_WINDOWS) if sys.platform == "win32" else settings.processes
        self._executor = ProcessPoolExecutor(max(1, processes), context, _begin_worker, initargs)

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future:
        """Call a function on an item in one of the workers. Raises BrokenProcessPool if one of them has died."""
        return self._executor.submit(function, item)

    @property
    def ever_started(self) -> bool:
        """Whether one of the workers came as far as its first task."""
        return self._started.is_set()

    @property
    def is_whole(self) -> bool:
        """Whether no worker has died."""
        return all(process.is_alive() for process in self._processes())

    def stop(self) -> None:
        """End the workers at once, whatever they do."""
        workers = self._processes()
        self._executor.shutdown(wait=False, cancel_futures=True)
        for process in workers:
            process.terminate()
        for process in workers:
            process.join(5)

    def _processes(self) -> list[Any]:
        return list((self._executor._processes or {}).values())  # no public way before Python 3.14


@dataclass
class _Kept:
    """The pool that no call uses at the moment."""

    blocks: int = 0  # of `kept_workers`, one within the other
    pool: WorkerPool | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


_kept = _Kept()


@contextmanager
def kept_workers() -> Iterator[None]:
    """Keep the workers of each call within this block for the next call, and end them when the outermost block ends.

    For functions that make several runs one after the other. Without it each call starts workers of its own.
    """
    with _kept.lock:
        _kept.blocks += 1
    try:
        yield
    finally:
        with _kept.lock:
            _kept.blocks -= 1
            unused = None
            if not _kept.blocks:
                unused, _kept.pool = _kept.pool, None
        if unused is not None:
            unused.stop()


def take_pool(settings: WorkerSettings) -> WorkerPool:
    """Return a pool of these settings: the one that was kept, or a new one. It is given back or stopped after use.

    A kept pool of other settings is stopped: its workers would hold memory, and GPUs, beside those of the new one.
    """
    with _kept.lock:
        kept, _kept.pool = _kept.pool, None
    if kept is not None:
        if kept.settings == settings and kept.is_whole:
            return kept
        kept.stop()
    return WorkerPool(settings)


def give_back(pool: WorkerPool) -> None:
    """Keep a pool whose tasks have all ended for the next call; outside `kept_workers` stop it."""
    with _kept.lock:
        keep = _kept.blocks > 0 and _kept.pool is None  # another thread may have given one back
        if keep:
            _kept.pool = pool
    if not keep:
        pool.stop()


def _begin_worker(begin: BeginWorker, arguments: tuple[Any, ...], begun: Any, started: Any) -> None:
    """begun: how many workers of the pool began before, shared by all."""
    started.set()
    with begun.get_lock():
        number, begun.value = begun.value, begun.value + 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    begin(number, *arguments)
    threading.Thread(target=_die_with_parent, daemon=True).start()


def _die_with_parent() -> None:
    """End this worker when its parent is killed: it would hold its lock and its memory for ever.

    By SIGTERM, as `WorkerPool.stop` does, on which a task ends a program that it runs; if that is not enough, at once.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        multiprocessing.connection.wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_S)
        os._exit(1)
