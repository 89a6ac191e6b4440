"""Errors that a user can correct. All other exceptions are faults of gbvnet itself and may show a traceback."""

import errno
from collections.abc import Mapping

# Caused by a full disk, a quota, permissions or too many open files. An absent file may be a fault of gbvnet.
_OF_THE_SYSTEM = {getattr(errno, n, 0) for n in "ENOSPC EDQUOT EFBIG EACCES EPERM EROFS EIO EMFILE ENFILE".split()}


class GbvnetError(Exception):
    """The base of all errors below; the command line prints its message in one line and exits with 2 (or counts it)."""


class BadConfig(GbvnetError):
    """A setting has a value that makes no sense, alone or together with another setting."""


class BadInput(GbvnetError):
    """A file or folder is not what it should be: which one, what was expected, what was found, what to do.

    The four parts are kept as attributes, so that a table of errors can show them in columns.
    """

    def __init__(self, path, expected, found, remedy=""):
        self.path, self.expected, self.found, self.remedy = path, expected, found, remedy
        super().__init__(f"{path}: expected {expected}, found {found}." + (f" {remedy}" if remedy else ""))

    # Without it, an exception whose __init__ takes other arguments does not pickle. Help is faster without the import
    # of typing_extensions for @override here.
    def __reduce__(self):  # type: ignore[explicit-override, unused-ignore]
        return type(self), (self.path, self.expected, self.found, self.remedy)


class BadRecording(BadInput):
    """A raw recording does not hold what its corpus documents."""


class BadStore(BadInput):
    """A store of windows is absent or damaged, or was prepared with other settings."""


class BadRun(BadInput):
    """A run folder or a predictions table is absent or damaged, or belongs to other settings."""


class BadModel(BadInput):
    """A model folder, or the face landmark model, is absent, damaged, or does not match its hash."""


class LeakySplit(GbvnetError):
    """A split has the same trial, stimulus or subject in training and test, against its own protocol."""


class TaskDied(GbvnetError):
    """A worker process or node died without an exception, usually because it ran out of memory."""


class PartFailed(GbvnetError):
    """Some parts of the work failed, and the others are kept; the command line exits with 1."""


def failed_parts(where: object, what: str, failed: Mapping[str, object], total: int) -> GbvnetError:
    """Return the error to raise after all of `total` parts were tried: PartFailed, or GbvnetError if none succeeded.

    what : what the parts are, in the plural        failed : the error of each that failed, by its name
    """
    first, error = next(iter(failed.items()))
    message = f"{where}: {len(failed)} of {total} {what} failed, the first {first}: {error} "
    if len(failed) == total:
        return GbvnetError(message + "Run the same command to try these again.")
    return PartFailed(message + "The others are kept; run the same command to try these again.")


def os_error_message(error: BaseException) -> str | None:
    """Return the message for an error that a full disk, permissions or lack of memory caused; None for any other."""
    if isinstance(error, OSError) and error.errno in _OF_THE_SYSTEM:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. Finished work is kept; correct this and run the same command again."
    # torch raises a RuntimeError, and a class of its own only for GPUs; oneDNN's message says no more than this
    text = str(error)
    of_torch = isinstance(error, RuntimeError) and ("allocate memory" in text or "create a primitive" in text)
    of_system = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if of_system or of_torch or type(error).__name__ == "OutOfMemoryError":
        first = (text.strip() or "no details").splitlines()[0]
        return f"not enough memory ({first}). Use fewer --jobs or smaller batches; finished work is kept."
    return None
