"""Which files of a folder hold a pickle, whose loading can run any code. Nothing is loaded for it."""

import bz2
import gzip
import io
import lzma
import pickletools
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

ENDINGS = {".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle"}
MOST_BYTES = 64_000_000  # of a file that is looked into
_COMPRESSED: dict[bytes, Callable[[bytes], bytes]] = {  # as joblib writes them
    b"\x1f\x8b": gzip.decompress,
    b"BZh": bz2.decompress,
    b"\xfd7zXZ": lzma.decompress,
    b"]\x00\x00\x80\x00": lzma.decompress,
    b"x\x01": zlib.decompress,
    b"x\x9c": zlib.decompress,
    b"x^": zlib.decompress,
    b"x\xda": zlib.decompress,
}


def pickle_files(folder: Path) -> list[str]:
    """Return the files below a folder that hold a pickle, with the reason: "model.pkl (by its name)"."""
    named = [(file, pickle_reason(file)) for file in sorted(folder.rglob("*")) if file.is_file()]
    return [f"{file.relative_to(folder).as_posix()} ({reason})" for file, reason in named if reason]


def pickle_reason(file: Path) -> str | None:
    """Return why a file is taken for a pickle, None if it is none."""
    if file.suffix.lower() in ENDINGS:
        return "by its name"
    with open(file, "rb") as stream:
        return _reason(stream.read(MOST_BYTES))


def _reason(content: bytes) -> str | None:
    for magic, decompress in _COMPRESSED.items():
        if content.startswith(magic):
            try:
                content = decompress(content)
            except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError):
                return None  # it only looks compressed
            return _reason(content) if not content.startswith(magic) else None
    if content.startswith(b"\x93NUMPY") and b"'|O'" in content[:200]:
        return "a NumPy array of objects"
    if content.startswith(b"PK"):
        return _in_zip(content)
    return "a pickle" if _is_pickle(content) else None


def _in_zip(content: bytes) -> str | None:
    """Return why a zip archive holds a pickle: torch.save and numpy.savez write such archives."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for name in archive.namelist():
                if Path(name).suffix.lower() in ENDINGS or (reason := _reason(archive.read(name))):
                    return f"an archive with {name}" + ("" if Path(name).suffix.lower() in ENDINGS else f", {reason}")
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError):
        pass
    return None


def _is_pickle(content: bytes) -> bool:
    """Return whether the bytes are a pickle of any protocol. Texts and safetensors are none after a few bytes."""
    operations = 0
    try:
        for operation, _, _ in pickletools.genops(content):
            operations += 1
            if operation.name == "STOP":
                return operations > 1
    except Exception:  # what is no pickle can raise anything
        pass
    return False
