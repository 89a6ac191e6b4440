"""What channels are called: one name for each electrode, however a file spells it.

Old 10-20 names (T3), other cases (FP1), prefixes and references (`EEG Fp1-REF`) all lead to the standard's name.
"""

import re
from collections.abc import Sequence
from difflib import get_close_matches

# Names of the 10-20 system that the 10-10 system replaced (Klem et al. 1999).
OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_PREFIX = re.compile(r"^(EEG|EOG|ECG|EKG|EMG)[ _\-:]+(?=\S)", re.IGNORECASE)
_REFERENCE = re.compile(r"(REF|LE|AR|AVG|A1|A2|M1|M2|CZREF|LINKED)$", re.IGNORECASE)
# How the names of other signals begin, and what kind they are.
_KINDS = {
    "eog": ("eog", "heog", "veog"),
    "ecg": ("ecg", "ekg"),
    "emg": ("emg", "zemg", "temg"),
    "gsr": ("gsr", "eda", "scl", "scr"),
    "resp": ("resp", "breath"),
    "ppg": ("ppg", "bvp", "pleth", "pulse"),
    "temp": ("temp",),
}


# The rows of the 10-10 system (Oostenveld & Praamstra 2001) from front to back, their columns from left to right.
_ROWS = {
    "Fp": "1 z 2", "AF": "9 7 5 3 1 z 2 4 6 8 10", "F": "9 7 5 3 1 z 2 4 6 8 10", "FT": "9 7 8 10",
    "FC": "5 3 1 z 2 4 6", "A": "1 2", "M": "1 2", "T": "9 7 8 10", "C": "5 3 1 z 2 4 6", "TP": "9 7 8 10",
    "CP": "5 3 1 z 2 4 6", "P": "9 7 5 3 1 z 2 4 6 8 10", "PO": "9 7 5 3 1 z 2 4 6 8 10", "O": "1 z 2", "I": "1 z 2",
}  # fmt: skip
ELECTRODES = {f"{row}{column}".upper(): f"{row}{column}" for row, text in _ROWS.items() for column in text.split()}


def canonical(name: str) -> str:
    """The standard's name of an electrode (`EEG FP1-REF` -> Fp1, T3 -> T7); any other name freed of outer spaces."""
    plain = name.strip()
    while plain.endswith("."):  # some files fill names up with points
        plain = plain.rstrip(".").rstrip()
    core = _without_reference(_PREFIX.sub("", plain)).upper()
    return ELECTRODES.get(OLD.get(core, core), plain)


def _without_reference(name: str) -> str:
    """Not in one expression, which would look at a long row of spaces from each of them anew."""
    found = _REFERENCE.search(name)
    before = name[: found.start()].rstrip(" _-") if found else ""
    return before if found and before and len(before) < found.start() else name


def kind_of(name: str) -> str | None:
    """What a channel is by its name: eeg for an electrode of the 10-10 system, gsr, resp, ...; None if it tells not."""
    said = name.strip().lower()
    for kind, beginnings in _KINDS.items():
        if said.startswith(beginnings):
            return kind
    return "eeg" if canonical(name) in ELECTRODES.values() else None


def find(wanted: str, have: Sequence[str]) -> int | None:
    """Where a channel is among the names of a file: by the very name, else by the standard's; None if it is not.

    A standard's name that several of the file's channels could have is no answer either.
    """
    if wanted in have:
        return list(have).index(wanted)
    same = [i for i, name in enumerate(have) if canonical(name).upper() == canonical(wanted).upper()]
    return same[0] if len(same) == 1 else None


def close(wanted: str, have: Sequence[str]) -> list[str]:
    """Up to three names of a file that are much like one that it has not, the most like first."""
    by_upper = {canonical(name).upper(): name for name in have}
    return [by_upper[name] for name in get_close_matches(canonical(wanted).upper(), by_upper, n=3, cutoff=0.5)]


def near(wanted: str, have: Sequence[str]) -> str:
    """` (near it: Fp1, Fpz)`, or nothing: for the error that a channel is not there."""
    found = close(wanted, have)
    return f" (near it: {', '.join(found)})" if found else ""
