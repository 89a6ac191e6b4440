"""Formats of signal files: how each is recognised, and which packages some of them need besides MNE."""

from pathlib import Path
from typing import NamedTuple

from .device_signatures import EMPATICA, MIND_MONITOR, OPENBCI, SHIMMER, XDF, device_name

VIDEO_SUFFIXES = (".avi", ".mp4", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".wmv", ".ts", ".flv", ".3gp")
TEXT_SUFFIXES = (".csv", ".tsv", ".txt")
# Read through MNE without conversion. The first ten are the commonest: messages list those only.
MNE_SUFFIXES = (".edf", ".bdf", ".fif", ".vhdr", ".set", ".gdf", ".cnt", ".nedf", ".ahdr", ".mff",
                ".eeg", ".lay", ".cdt", ".snirf", ".gz", ".mefd", ".ds", ".nxe")  # fmt: skip
FOLDER_SUFFIXES = (".mff", ".mefd", ".ds")  # recordings that are folders
_EXPORT = "Export it as EDF or CSV"
# Formats that gbvnet does not read -> name, and what to do.
_UNSUPPORTED = {
    ".xdf": ("a file named as LabRecorder's XDF", "Its first bytes are not XDF: as they must be. Is it whole?"),
    ".xdfz": ("compressed XDF", "Unpack it: gunzip < FILE.xdfz > FILE.xdf."),
    ".acq": (
        "a file named as BIOPAC's AcqKnowledge",
        f"Its first bytes are those of no version that bioread knows: is it whole? {_EXPORT} in AcqKnowledge.",
    ),
    ".zip": ("a zip archive without a session of an Empatica E4", "Unpack it, and give a file in it."),
    ".avro": ("Avro, of Empatica's EmbracePlus", "Convert its files to CSV with Empatica's scripts."),
    ".mat": ("MATLAB's own format", "Save the signals as CSV with a name for each column, or as an EEGLAB .set."),
    ".easy": ("Neuroelectrics' text format", "Give the .nedf beside it."),
    ".hdf5": ("HDF5", f"{_EXPORT}."),
    ".h5": ("HDF5", f"{_EXPORT}."),
    ".adicht": ("LabChart", f"{_EXPORT} in LabChart."),
    ".smr": ("Spike2", f"{_EXPORT} in Spike2."),
    ".poly5": ("TMSi's Poly5", f"{_EXPORT} in TMSi Saga or Polybench."),
    ".vmrk": ("the markers of a BrainVision recording", "Give the .vhdr beside it."),
    ".fdt": ("the samples of an EEGLAB recording", "Give the .set beside it."),
    ".xlsx": ("a spreadsheet", "Save it as CSV."),
    ".xls": ("a spreadsheet", "Save it as CSV."),
    ".ods": ("a spreadsheet", "Save it as CSV."),
    ".json": ("JSON", f"{_EXPORT}."),
    ".parquet": ("Parquet", "Save it as CSV."),
    ".npy": ("NumPy", "Save it as CSV with a name for each column."),
    ".npz": ("NumPy", "Save it as CSV with a name for each column."),
    ".pkl": ("a pickle", "Save it as CSV with a name for each column."),
}  # fmt: skip
# Formats for which MNE needs more packages -> name, packages.
_EXTRA_PACKAGES = {
    ".mff": ("EGI's MFF", "mffpy"),
    ".cdt": ("Curry", "curryreader"),
    ".snirf": ("SNIRF", "h5py"),
    ".mefd": ("MEF3", "pymef"),
}
_HDF5 = b"\x89HDF\r\n\x1a\n"
_AVRO = b"Obj\1"


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(4096)
    except OSError:
        return b""


def is_recording(path: Path) -> bool:
    """Return whether a path is a file, or a folder that is one recording."""
    return path.is_file() or (
        path.is_dir() and (path.suffix.lower() in FOLDER_SUFFIXES or device_name(path) is not None)
    )


def file_kind(path: Path) -> str | None:
    """Return whether a file or folder holds "signals" or a "video", by its first bytes, then by its suffix; None if
    neither tells."""
    if device_name(path) is not None:
        return "signals"
    begin, suffix = _first_bytes(path) if path.is_file() else b"", path.suffix.lower()
    if _is_video(begin):
        return "video"
    if _is_signals(begin) or suffix in (*MNE_SUFFIXES, *TEXT_SUFFIXES, *_UNSUPPORTED):
        return "signals"
    return "video" if suffix in VIDEO_SUFFIXES else None


def _is_video(begin: bytes) -> bool:
    packets = begin[:1] == b"G" and begin[188:189] == b"G" and begin[376:377] == b"G"  # a transport stream
    return (
        (begin[:4] == b"RIFF" and begin[8:12] == b"AVI ")
        or begin[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"skip", b"free")
        or begin.startswith(
            (b"\x1aE\xdf\xa3", b"\0\0\1\xba", b"\0\0\1\xb3", b"FLV\1", b"0&\xb2u\x8ef\xcf\x11", b"OggS")
        )
        or packets
    )


def _is_signals(begin: bytes) -> bool:
    return (
        begin.startswith((b"0       ", b"\xffBIOSEMI", b"GDF ", b"XDF:", b"MATLAB 5.0", _HDF5, b"Version 3.0", _AVRO))
        or begin[:64].lower().startswith((b"brain vision", b"brainvision"))
        or (begin[:4] == b"RIFF" and begin[8:12] in (b"CNT ", b"EEP "))
    )


class _Content(NamedTuple):
    name: str
    suffixes: tuple[str, ...]  # by which MNE knows it; none where it does not read it
    remedy: str = ""


# First bytes -> what a file is, whatever it is called. MNE goes by suffixes: its errors for other files mislead.
_CONTENTS = {
    b"\xffBIOSEMI": _Content("a BDF", (".bdf",)),
    b"GDF ": _Content("a GDF", (".gdf",)),
    b"Brain Vision Data Exchange Header": _Content("a BrainVision header", (".vhdr", ".ahdr")),
    b"BrainVision Data Exchange Header": _Content("a BrainVision header", (".vhdr", ".ahdr")),
    b"\0\0\0\x64\0\0\0\x1f": _Content("a FIF", (".fif",)),
    b"Version 3.0": _Content("a recording of Neuroscan", (".cnt",)),
    b"EEG-": _Content("a recording of Nihon Kohden", (".eeg",)),
    b"MATLAB 5.0": _Content("a MATLAB file", (".set", ".mat"), "Save the signals as CSV, or as an EEGLAB .set."),
    _HDF5: _Content(
        "an HDF5 file (MATLAB 7.3, g.tec's g.Recorder or another program's)", (".set", ".snirf"), f"{_EXPORT}."
    ),
    b"* MICROMED": _Content("a recording of Micromed", (), f"{_EXPORT} there."),
    b"POLY SAMPLE FILE": _Content("a recording of TMSi (Poly5)", (), f"{_EXPORT} there."),
    b"PK\3\4": _Content("a zip archive or a spreadsheet", (), "Unpack it, or save it as CSV."),
}
_MARKS = {_AVRO: ".avro"}  # first bytes -> the suffix of such a file


def misnamed(path: Path) -> tuple[str, str] | None:
    """Return what a file is by its first bytes, and what to do, if its suffix is that of another format; else None."""
    begin, suffix = _first_bytes(path) if path.is_file() else b"", path.suffix.lower()
    content = next((of for mark, of in _CONTENTS.items() if begin.startswith(mark)), None)
    if content is None and begin[:8] == b"0       " and begin[184:192].strip().isdigit():
        content = _Content("an EDF", (".edf",))
    if content is None and begin[:4] == b"RIFF" and begin[8:12] in (b"CNT ", b"EEP "):
        content = _Content("a recording of ANT Neuro", (".cnt",))
    if content is None or suffix in content.suffixes:
        return None
    remedy = content.remedy or f"Give it a name that ends in {content.suffixes[0]}."
    return f"{content.name} by its first bytes, with a name that ends in {suffix or 'no suffix'}", remedy


def supported_files() -> str:
    """Return a sentence that lists the supported files."""
    videos, signals = ", ".join(VIDEO_SUFFIXES[:9]), ", ".join((*MNE_SUFFIXES[:10], *TEXT_SUFFIXES))
    devices = (
        f"files of {EMPATICA} (also its folder or .zip), {SHIMMER}, {OPENBCI}, {MIND_MONITOR}, Emotiv, BIOPAC and {XDF}"
    )
    return (
        f"Videos are {videos} and any other file with pictures; signals are {signals}, other formats of MNE, and "
        f"{devices}."
    )


def unsupported_format(path: Path) -> tuple[str, str] | None:
    """Return what a file or folder is and what to do, if gbvnet does not read its format; else None."""
    suffix, begin = path.suffix.lower(), _first_bytes(path) if path.is_file() else b""
    suffix = next((of for mark, of in _MARKS.items() if begin.startswith(mark)), suffix)
    if suffix in _UNSUPPORTED:
        name, remedy = _UNSUPPORTED[suffix]
        return f"{name}, which gbvnet does not read", remedy
    if path.is_dir() and suffix not in FOLDER_SUFFIXES:
        return "a folder", "Give a file in it."
    return None


def open_failure(path: Path, error: Exception) -> tuple[str, str]:
    """Return why MNE does not open a file, and what to do."""
    suffix, begin = path.suffix.lower(), _first_bytes(path) if path.is_file() else b""
    text = " ".join(str(error).split())[:300]
    failure = f"one that does not open ({type(error).__name__}: {text})"
    lacks = isinstance(error, ImportError) or "could not be imported" in text or "pip install" in text
    if wrong := misnamed(path):
        return wrong
    if suffix == ".set" and begin.startswith(_HDF5):
        return (
            "an EEGLAB file of MATLAB 7.3",
            "It needs two packages more: pip install pymatreader h5py. Or save it in EEGLAB without -v7.3.",
        )
    if suffix == ".cnt":
        if begin[:4] == b"RIFF":
            return f"a .cnt of ANT Neuro ({text})", "It needs one package more: pip install antio."
        if not begin.startswith(b"Version 3"):
            return "a .cnt of neither Neuroscan nor ANT Neuro", f"{_EXPORT} with the program that wrote it."
        return f"a Neuroscan .cnt that does not open ({text})", f"{_EXPORT}, if MNE cannot read it."
    if suffix == ".eeg":
        header = path.with_suffix(".vhdr")
        beside = f"give {header.name}, which is" if header.is_file() else "give the .vhdr"
        return failure, f"Of a BrainVision recording {beside} beside it."
    if lacks and suffix in _EXTRA_PACKAGES:
        name, packages = _EXTRA_PACKAGES[suffix]
        return f"{name} ({text})", f"It needs more than MNE: pip install {packages}. Or export it as EDF."
    return failure, "Install the package that it names." if lacks else "Is it complete, with the files beside it?"
