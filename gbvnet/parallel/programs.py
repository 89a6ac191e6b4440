"""Other programs, which end with the process that started them."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType


def run_program(words: Sequence[str], folders: Iterable[Path] = ()) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, and return what it wrote and its exit status.

    folders : temporary ones of this process, which are deleted if it is terminated meanwhile

    The program and whatever it starts are one process group. That is killed when this process is interrupted, or
    terminated as workers are on Ctrl-C. Raises OSError if the program cannot be started.
    """
    started: list[subprocess.Popen[str]] = []

    def end() -> None:
        for program in started:
            _kill_group(program)
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)

    with _before_termination(end):
        with _interrupts_not_ignored():
            started.append(
                subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                    errors="replace", process_group=0 if os.name == "posix" else None,
                )
            )  # fmt: skip
        program = started[0]
        try:
            output, errors = program.communicate()
        except BaseException:  # Ctrl-C in the process that started it
            _kill_group(program)
            program.wait()
            raise
    return subprocess.CompletedProcess(program.args, program.returncode, output, errors)


def _kill_group(program: "subprocess.Popen[str]") -> None:
    if os.name != "posix":
        program.kill()
        return
    with suppress(ProcessLookupError, PermissionError):  # it has ended
        os.killpg(program.pid, signal.SIGKILL)


@contextmanager
def _before_termination(action: Callable[[], None]) -> Iterator[None]:
    """Call a function before SIGTERM ends this process, as far as Python allows it: in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(number: int, frame: FrameType | None) -> None:
        action()
        signal.signal(number, signal.SIG_DFL if before is None else before)
        os.kill(os.getpid(), number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL if before is None else before)


@contextmanager
def _interrupts_not_ignored() -> Iterator[None]:
    """Start programs with the usual SIGINT: one that this process ignores, as workers do, they would ignore as well.

    A handler in its place is not inherited, and ignores an interrupt meanwhile.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
