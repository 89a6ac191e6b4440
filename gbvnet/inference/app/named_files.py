"""Other files that an upload names: only files that were uploaded together with it may be opened.

A BrainVision header names its data and markers, and an EEGLAB .set its samples. MNE joins such a name to the header's
folder: an absolute path, or one with `..`, leads to any file of the server. A FIF can name its next part likewise.
"""

import codecs
import configparser
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

import numpy as np

from ...errors import BadRecording

_HEADERS = (".vhdr", ".ahdr")
MARKERS = ".vmrk"
_CODEPAGES = ("utf-8", "cp1252", "iso8859-1", "ascii")  # of headers, by Python's names; keys are ASCII in all of them
_HDF5 = b"\x89HDF\r\n\x1a\n"
_REFERENCE = 118  # number of FIF's blocks that name another file, and of the tag of its name in them
_UPLOAD_BOTH = "Upload that file as well, under the name that is given here."


class _Name(NamedTuple):
    """A name of another file in an upload, and the ending of the file that MNE takes if there is none of that name."""

    what: str
    name: str
    instead: str | None = None


def require_uploaded(file: Path, uploaded: Collection[str]) -> None:
    """Raise BadRecording if a file names another one that is not among the uploaded ones.

    uploaded : names of all files in the folder of `file`
    """
    suffix = file.suffix.lower()
    if suffix in _HEADERS:
        named = _in_header(file)
    elif suffix == ".set":
        named = list(_in_set(file))
    else:
        named = []
        if file.name.lower().endswith((".fif", ".fif.gz")):
            _refuse_parts(file)
    for what, name, instead in named:
        # MNE reads a recording without the markers that its header names, and reports it.
        replaced = instead is not None and (instead == MARKERS or file.with_suffix(instead).name in uploaded)
        if name not in uploaded and not (replaced and _is_bare(name)):
            raise BadRecording(file, f"{what} the name of an uploaded file", repr(name), _UPLOAD_BOTH)


def _is_bare(name: str) -> bool:
    """Return whether a name is that of a file in the same folder, on any system."""
    return name not in ("", ".", "..") and name == PurePosixPath(name).name == PureWindowsPath(name).name


def _in_header(file: Path) -> list[_Name]:
    """Return the names in a BrainVision header, read as MNE reads it. Raises BadRecording where it cannot be read."""
    try:
        with file.open("rb") as header:
            header.readline()  # the version, which is not part of a section
            content = header.read()
        settings = configparser.ConfigParser(interpolation=None)
        settings.read_string(_decoded(content).split("[Comment]")[0])
    except (LookupError, ValueError, configparser.Error) as error:
        failure = f"one that does not read ({' '.join(str(error).split())})"
        raise BadRecording(file, "a BrainVision header", failure) from None
    keys = (("DataFile", None), ("MarkerFile", MARKERS))
    named = [
        _Name(f"{key} to be", settings.get(section, key).replace("$b", file.stem), instead)
        for section in settings.sections()  # also those that MNE does not look into today
        for key, instead in keys
        if settings.has_option(section, key)
    ]
    return [one for one in named if one.name or one.instead is None]  # no markers: MNE opens none


def _decoded(content: bytes) -> str:
    """Return the text of a header. Raises LookupError for a code page in which a key could be hidden from a reader."""
    stated = re.search("Codepage=(.+)", content.decode("ascii", "ignore"))
    codepage = stated.group(1).strip() if stated else "utf-8"
    codepage = "cp1252" if codepage == "ANSI" else codepage
    if codecs.lookup(codepage).name not in _CODEPAGES:
        raise LookupError(f"Codepage {codepage}, where UTF-8 or ANSI is expected")
    try:
        return content.decode(codepage)
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _in_set(file: Path) -> Iterator[_Name]:
    """Yield the names of files with samples in an EEGLAB .set. Raises BadRecording where it cannot be read."""
    from scipy.io import loadmat, whosmat

    with file.open("rb") as content:
        if content.read(len(_HDF5)) == _HDF5:
            kind = "one of MATLAB 7.3, which can hold links to other files"
            raise BadRecording(file, "an EEGLAB file of MATLAB 7 or older", kind, "Save it in EEGLAB without -v7.3.")
    try:
        # Samples within the file are an array of numbers, which need not be read here.
        present = [name for name, _, kind in whosmat(str(file)) if kind in ("struct", "char", "cell", "object")]
        wanted = [name for name in ("EEG", "data") if name in present]
        variables = loadmat(str(file), squeeze_me=True, struct_as_record=False, variable_names=wanted)
    except Exception as error:  # scipy raises many kinds of exceptions for damaged files
        failure = f"one that does not read ({type(error).__name__}: {error})"
        raise BadRecording(file, "an EEGLAB file", failure, "Is it whole?") from None
    for text in (*_texts(variables.get("data")), *_data_in(variables.get("EEG"))):
        yield _Name("its field `data` to be numbers, or", text, ".fdt")


def _data_in(eeg: Any) -> Iterator[str]:
    """Yield the texts of all fields `data` of EEGLAB's structure, which may lie in another one of its name."""
    if isinstance(eeg, np.ndarray) and eeg.dtype == object:
        for one in eeg.ravel():
            yield from _data_in(one)
    for field in getattr(eeg, "_fieldnames", ()):
        if field == "data":
            yield from _texts(getattr(eeg, field))
        elif field == "EEG":
            yield from _data_in(getattr(eeg, field))


def _texts(value: Any) -> Iterator[str]:
    """Yield the texts in a value of a MATLAB file: itself, or those of an array."""
    if isinstance(value, str):
        yield from [str(value)] if value else []
    elif isinstance(value, np.ndarray) and value.dtype.kind in "OU":
        for one in value.ravel():
            yield from _texts(one)


def _refuse_parts(file: Path) -> None:
    """Raise BadRecording for a FIF that names another file: a part of a recording that was saved in several."""
    import mne

    try:
        shown = mne.io.show_fiff(file, output=list, tag=_REFERENCE, verbose="error")
    except Exception as error:  # MNE raises many kinds of exceptions for damaged files
        failure = f"one that does not open ({type(error).__name__}: {' '.join(str(error).split())[:300]})"
        raise BadRecording(file, "a FIF", failure, "Is it whole?") from None
    if any(line.strip() for line in shown):
        remedy = "Save the whole recording as one file."
        raise BadRecording(file, "a recording in one FIF", "a part of one that names another file", remedy)
