"""Prefetching: a thread runs an iterator a few steps ahead of its consumer."""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
_END = object()


def prefetch(items: Iterable[T], depth: int = 4) -> Generator[T]:
    """Yield the same items in the same order; another thread computes up to `depth` of them in advance.

    An exception in that thread is raised here. If the generator is closed early, it stops the thread and closes the
    iterator.
    """
    ready: queue.Queue = queue.Queue(depth)
    stop = threading.Event()

    def put(item: object) -> None:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def work() -> None:
        try:
            iterator = iter(items)
            if isinstance(iterator, Generator):
                with closing(iterator):
                    _hand_over(iterator)
            else:
                _hand_over(iterator)
        except BaseException as error:
            put(error)
        else:
            put(_END)

    def _hand_over(iterator: Iterable[T]) -> None:
        for item in iterator:
            put(item)
            if stop.is_set():
                return

    thread = threading.Thread(target=work, name="prefetch", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join()
