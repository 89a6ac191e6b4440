"""What a user can put right. Everything else is a fault of ours and may show a traceback."""

import errno

# What a disk, a quota, permissions or too many open files cause; a file that is not there may be a fault of ours.
_OF_THE_MACHINE = {getattr(errno, n, 0) for n in "ENOSPC EDQUOT EFBIG EACCES EPERM EROFS EIO EMFILE ENFILE".split()}


class GbvnetError(Exception):
    """The root of all errors below; the command line prints its message in one line and exits with 2 (or counts it)."""


class BadConfig(GbvnetError):
    """A setting has a value that makes no sense, alone or beside another setting."""


class BadInput(GbvnetError):
    """A file or folder is not what it should be: which one, what was expected, what was found, what to do.

    The four parts are kept as attributes, so that a table of verdicts can show them in columns.
    """

    def __init__(self, path, expected, found, remedy=""):
        self.path, self.expected, self.found, self.remedy = path, expected, found, remedy
        super().__init__(f"{path}: expected {expected}, found {found}." + (f" {remedy}" if remedy else ""))

    def __reduce__(self):  # an exception with its own arguments must be told how to cross a process border
        return type(self), (self.path, self.expected, self.found, self.remedy)


class BadRecording(BadInput):
    """A raw recording does not hold what its corpus promises."""


class BadStore(BadInput):
    """A store of windows is absent, damaged, or was made with other settings."""


class BadRun(BadInput):
    """A run folder or a predictions table is absent, damaged, or belongs to other settings."""


class BadModel(BadInput):
    """A model folder, or the face landmark model, is absent, damaged or not what its hash says."""


class LeakySplit(GbvnetError):
    """A split has the same trial, stimulus or person on both sides, against its own protocol."""


class TaskDied(GbvnetError):
    """The process or the node of a task ended without a word, most often killed for want of memory."""


def told_of_the_machine(error: BaseException) -> str | None:
    """What to tell of an error that a full disk, permissions or want of memory caused; None for any other."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror}. What was done is kept; when that is put right, the same command goes on."
    # torch raises a RuntimeError, with a name of its own for GPUs alone, and oneDNN says no more than this
    text = str(error)
    of_torch = isinstance(error, RuntimeError) and ("allocate memory" in text or "create a primitive" in text)
    of_system = isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM)
    if of_system or of_torch or type(error).__name__ == "OutOfMemoryError":
        first = (text.strip() or "no more to be had").splitlines()[0]
        return f"not enough memory ({first}). Fewer --jobs or smaller batches take less; what was done is kept."
    return None
