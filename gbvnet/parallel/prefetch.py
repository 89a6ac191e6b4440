"""What comes next, made while this is used: a thread that runs an iterator a few steps ahead."""

import queue
import threading
from collections.abc import Generator, Iterable
from contextlib import closing
from typing import TypeVar

T = TypeVar("T")
_END = object()


def prefetch(items: Iterable[T], depth: int = 4) -> Generator[T]:
    """The same items in the same order, made by another thread, at most `depth` of them before they are asked for.

    An exception there is raised here. Closed early, it stops the thread and closes the iterator.
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
