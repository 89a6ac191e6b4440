"""Commands in processes that can be killed: with all that they started, at a moment or before a change of the disk."""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

CHANGES = ("os.rename", "os.remove", "os.mkdir", "os.rmdir")  # os.replace and os.unlink are reported under these names


@dataclass(frozen=True)
class Ended:
    """How a command ended. code : its exit code, or None if it was killed. seconds : how long it ran."""

    code: int | None
    seconds: float


def warm() -> None:
    """Load what the commands load, so that a forked process begins at once with its work; no thread is started."""
    import lightning  # noqa: F401
    import matplotlib.pyplot  # noqa: F401
    import pyarrow.parquet  # noqa: F401
    import sklearn.metrics  # noqa: F401


def run(
    words: list[str],
    folder: Path,
    log: Path,
    *,
    kill_after_s: float | None = None,
    kill_at_change: int | None = None,
    cold: bool = False,
) -> Ended:
    """Run `gbvnet WORDS` with `folder` as its working folder, in a session of its own, and kill that if asked to.

    log : what it says is added there
    kill_after_s : kill -9 for the session so many seconds after its start
    kill_at_change : it kills itself, in place of its nth change of the disk (the first is 1)
    cold : a new interpreter, not a fork of this one; its kill may then fall into the loading of libraries
    """
    began = time.monotonic()
    pid = _start(words, folder, log) if cold else _fork(words, folder, log, kill_at_change)
    status = _wait(pid, None if kill_after_s is None else began + kill_after_s)
    if status is None:
        os.killpg(pid, signal.SIGKILL)
        status = _wait(pid, None)
    seconds = time.monotonic() - began
    with contextlib.suppress(ProcessLookupError):  # its workers, which may not have noticed yet
        os.killpg(pid, signal.SIGKILL)
    assert status is not None
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    return Ended(None if killed else os.waitstatus_to_exitcode(status), seconds)


def _wait(pid: int, until: float | None) -> int | None:
    """The status of a process that has ended, or None if it has not by then."""
    while True:
        ended, status = os.waitpid(pid, 0 if until is None else os.WNOHANG)
        if ended:
            return status
        if until is not None and time.monotonic() >= until:
            return None
        time.sleep(0.002)


def temporary(folder: Path) -> Path:
    """The system's folder for temporary files, as a command sees it: one of its own, so that what is left is seen."""
    return folder.with_name(folder.name + ".tmp")


def _start(words: list[str], folder: Path, log: Path) -> int:
    temporary(folder).mkdir(exist_ok=True)
    environment = os.environ | {"TMPDIR": str(temporary(folder))}
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gbvnet", *words], cwd=folder, stdout=out, stderr=out, env=environment,
            start_new_session=True,
        )  # fmt: skip
    process.returncode = 0  # it is waited for here, not by its destructor
    return process.pid


def _fork(words: list[str], folder: Path, log: Path, kill_at_change: int | None) -> int:
    temporary(folder).mkdir(exist_ok=True)
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        with contextlib.suppress(PermissionError, ProcessLookupError):
            os.setpgid(pid, pid)  # as the child does: whoever is first
        return pid
    code = 70
    try:
        with contextlib.suppress(PermissionError):  # it leads a group already: its parent was first
            os.setsid()
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.environ["TMPDIR"] = str(temporary(folder))
        tempfile.tempdir = None
        os.chdir(folder)
        _count_changes(log.with_suffix(".changes"), kill_at_change)
        from gbvnet.cli.main import main

        code = main(words)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _count_changes(notes_file: Path, kill_at: int | None) -> None:
    """Note every change of the disk that Python code is about to make, and die in place of one of them."""
    notes = os.open(notes_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    count = 0

    def hook(event: str, arguments: tuple) -> None:
        nonlocal count
        if event == "open":
            path, _, flags = arguments
            if not isinstance(path, str) or path.startswith("/dev/") or not (flags & (os.O_WRONLY | os.O_RDWR)):
                return
        elif event not in CHANGES:
            return
        if str(arguments[0]).startswith("/proc/"):
            return
        count += 1
        os.write(notes, f"{event} {arguments[0]}\n".encode())
        if count == kill_at:
            os.killpg(0, signal.SIGKILL)

    sys.addaudithook(hook)
