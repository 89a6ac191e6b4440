"""What a native library does to the whole process, undone: lines on stderr, signal handlers."""

import logging
import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger(__name__)


def ignore_profiling_signals() -> None:
    """Ignore SIGPROF, which MediaPipe's timers send as long as the process lives.

    MediaPipe ignores the signal itself, without telling Python. Lightning restores each handler after a training as
    Python knew it, and then SIGPROF would end the process. Only the main thread can set handlers, so a training calls
    this as well: faces may have been detected in another thread.
    """
    possible = hasattr(signal, "SIGPROF") and threading.current_thread() is threading.main_thread()
    if possible and signal.getsignal(signal.SIGPROF) is signal.SIG_DFL:
        signal.signal(signal.SIGPROF, signal.SIG_IGN)


_STDERR_LOCK = threading.RLock()  # of two threads that restore stderr, the later one would restore the other's file


@contextmanager
def silenced_stderr(library: str) -> Iterator[None]:
    """Send what C++ code writes to stderr to the debug log: MediaPipe writes lines that no setting stops."""
    with _STDERR_LOCK:
        try:
            original = os.dup(2)
        except OSError:  # a program without a terminal has no stderr
            yield
            return
        with tempfile.TemporaryFile() as file:
            os.dup2(file.fileno(), 2)
            try:
                yield
            finally:
                os.dup2(original, 2)
                os.close(original)
                file.seek(0)
                for line in file.read().decode(errors="replace").splitlines():
                    log.debug("%s: %s", library, line)
