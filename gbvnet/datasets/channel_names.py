"""What channels are called: one name for each electrode, however a file spells it.

Old 10-20 names (T3), other cases (FP1), prefixes and references (`EEG Fp1-REF`) all lead to the standard's name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import NamedTuple

from ..errors import BadConfig
from ..text import shortened
from .units import split_name

LEAST_SIMILARITY = 0.6  # of a name that is suggested for another
CAP = 4  # this many electrodes with consecutive labels are those of a cap
MOST_NAMED = 8  # missing channels that a message names

# Names of the 10-20 system that the 10-10 system replaced (Klem et al. 1999).
OLD = {"T3": "T7", "T4": "T8", "T5": "P7", "T6": "P8"}
_PREFIX = re.compile(r"^(EEG|EOG|ECG|EKG|EMG)[ _\-:.]+(?=\S)", re.IGNORECASE)
# What devices write around a name: Shimmer_40AC_GSR_CAL is the GSR of any Shimmer, RAW_AF7 the electrode of a Muse.
_DEVICE = re.compile(r"(?:Shimmer_|id)[0-9A-F]{4}_(.+)_CAL|RAW_(TP9|AF7|AF8|TP10)", re.IGNORECASE)
_REFERENCE = re.compile(r"(REF|LE|AR|AVG|A1|A2|M1|M2|CZREF|LINKED)$", re.IGNORECASE)
# Whole words that say what a signal is: a name with one of them, and with nothing but them and words of _BESIDE.
_KINDS = {
    "eog": "eog heog veog eogh eogv",
    "ecg": "ecg ekg",
    "emg": "emg zemg temg",
    "gsr": "gsr eda scl scr electrodermal",
    "resp": "resp rsp respiration respiratory breath breathing",
    "ppg": "ppg bvp plet pleth plethysmograph plethysmogram photoplethysmogram",
    "temp": "temp temperature skt",
}
_WORDS = {word: kind for kind, text in _KINDS.items() for word in text.split()}
# Names that tell a kind only if they are the whole name, a number aside: `pulse_count` is none.
_ALONE = {"pulse": "ppg", "sc": "gsr", "rip": "resp", "skinconductance": "gsr", "skinresistance": "gsr", "eeg": "eeg"}
# What may stand beside them: where a sensor is, which lead it is, what was done to it. No word of answers or events.
_ANYWHERE = (
    "raw filt filtered clean cleaned cal uncal sensor signal ch chan channel wave waveform shimmer empatica e4 biopac"
)
_LEADS = "i ii iii avr avl avf v l r h left right upper lower horizontal vertical hor ver lead ref uv mv"
_ON = "finger hand wrist palm foot ear forehead"
_BESIDE = {
    "eog": _LEADS,
    "ecg": f"{_LEADS} la ra ll rl vx chest",
    "emg": f"{_LEADS} chin cheek neck arm leg zyg zygomaticus zygo corr corrugator coru trap trapezius",
    "gsr": f"{_ON} skin conductance resistance level tonic phasic left right us",
    "resp": "chest thorax thoracic abdomen abdominal nasal nose mouth belt band effort airflow flow uv mv",
    "ppg": f"{_ON} ir red green infrared left right a uv mv",
    "temp": f"{_ON} skin body surface peripheral left right c f k",
}
_ALLOWED = {kind: {*words.split(), *_ANYWHERE.split()} for kind, words in _BESIDE.items()}


# The rows of the 10-10 system (Oostenveld & Praamstra 2001) from front to back, their columns from left to right.
_ROWS = {
    "Fp": "1 z 2", "AF": "9 7 5 3 1 z 2 4 6 8 10", "F": "9 7 5 3 1 z 2 4 6 8 10", "FT": "9 7 8 10",
    "FC": "5 3 1 z 2 4 6", "A": "1 2", "M": "1 2", "T": "9 7 8 10", "C": "5 3 1 z 2 4 6", "TP": "9 7 8 10",
    "CP": "5 3 1 z 2 4 6", "P": "9 7 5 3 1 z 2 4 6 8 10", "PO": "9 7 5 3 1 z 2 4 6 8 10", "O": "1 z 2", "I": "1 z 2",
}  # fmt: skip
ELECTRODES = {f"{row}{column}".upper(): f"{row}{column}" for row, text in _ROWS.items() for column in text.split()}


def canonical_name(name: str) -> str:
    """Return the standard name of an electrode, or any other name stripped.

    >>> canonical_name("EEG FP1-REF"), canonical_name("T3"), canonical_name(" GSR1 ")
    ('Fp1', 'T7', 'GSR1')
    """
    plain = split_name(name)[0] if name.rstrip()[-1:] in ("]", ")") else name.strip()
    while plain.endswith("."):  # some files fill names up with points
        plain = plain.rstrip(".").rstrip()
    core = _without_reference(_PREFIX.sub("", plain)).upper()
    return ELECTRODES.get(OLD.get(core, core), plain)


def _without_reference(name: str) -> str:
    """Not in one expression, which would look at a long row of spaces from each of them anew."""
    reference = _REFERENCE.search(name)
    before = name[: reference.start()].rstrip(" _-") if reference else ""
    return before if reference and before and len(before) < reference.start() else name


def channel_kind(name: str) -> str | None:
    """Return the kind of a channel by its name: eeg for an electrode of the 10-10 system, gsr, resp, ..., or None.

    Whole words count, never the beginning of one: `GSR1`, `ECG_II`, `EDA (uS)`, `RespBelt` have a kind; `response`,
    `temporal`, `resp_key`, `ecg_quality` have none.

    >>> channel_kind("Fp1"), channel_kind("EDA (uS)"), channel_kind("response")
    ('eeg', 'gsr', None)
    """
    plain = split_name(name)[0]
    if canonical_name(plain) in ELECTRODES.values():
        return "eeg"
    words = _words_of(plain)
    kinds = {_WORDS[word] for word in words if word in _WORDS}
    if not kinds:
        return _ALONE.get("".join(words))
    kind = kinds.pop()
    return None if kinds or any(word not in _WORDS and word not in _ALLOWED[kind] for word in words) else kind


def _words_of(name: str) -> list[str]:
    """The words of a name, in lower case and without their numbers: `RespBelt-2` is resp, belt."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", name[:200])
    words = [re.sub(r"(?:\d+c?|\d[0-9a-f]{3})$", "", word) for word in re.findall(r"[a-z0-9]+", spaced.lower())]
    return [word for word in words if word]


def numbered_electrodes(names: Sequence[str]) -> list[str]:
    """Return those of a file's channels that are a cap's electrodes by number: BioSemi's A1 to A32, EGI's E1 to
    E256, `EEG 001`. Four of one series at least, so that the ear lobes A1 and A2 are none."""
    series: dict[str, set[str]] = {}
    for name in names:
        match = re.fullmatch(r"(?:EEG[ _.-]*)?([A-HE]?)[ _-]?0*(\d{1,3})", name.strip()[:20], re.IGNORECASE)
        if match and (match[1] or name.strip()[:3].upper() == "EEG"):
            series.setdefault(name.strip().rstrip("0123456789"), set()).add(name)
    caps = {name for same in series.values() if len(same) >= CAP for name in same}
    return [name for name in names if name in caps and not _is_row(name, names)]


def _is_row(name: str, names: Sequence[str]) -> bool:
    """Whether a numbered name is rather an electrode of the 10-10 system: of C1 to C6, but not of C1 to C32."""
    if canonical_name(name) not in ELECTRODES.values():
        return False
    letter = canonical_name(name).rstrip("0123456789")
    of_letter = [n for n in names if n.strip().rstrip("0123456789") == letter]
    return all(canonical_name(n) in ELECTRODES.values() for n in of_letter)


def same_channels(names: Sequence[str]) -> list[list[str]]:
    """Groups of names that are one channel in several spellings, as Fp1, FP1 and EEG Fp1-REF are."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(_key(name), []).append(name)
    return [spellings for spellings in groups.values() if len(spellings) > 1]


def find_channel(wanted: str, have: Sequence[str]) -> int | None:
    """Return the position of a channel among the names `have`: of the same name, else of the only other spelling of it.

    None if there is none, or if several are spellings of it.
    """
    if wanted in have:
        return list(have).index(wanted)
    same = [i for i, name in enumerate(have) if _key(name) == _key(wanted)]
    return same[0] if len(same) == 1 else None


def _key(name: str) -> str:
    """Equal for all spellings of one channel."""
    plain = canonical_name(name)
    return canonical_name(_DEVICE.sub(r"\1\2", plain)).upper() if _DEVICE.fullmatch(plain) else plain.upper()


class ChannelMatch(NamedTuple):
    """The channels that are wanted, as found among those that a file or a device has."""

    positions: list[int]  # of those that are there, in the order wanted
    missing: list[str]
    hint: str  # the missing ones with similar names: "Fp2 (near it: Fp1); O1"


def match_channels(
    wanted: Sequence[str], have: Sequence[str], renamed: Mapping[str, str] | None = None
) -> ChannelMatch:
    """Find channels by name. renamed : wanted name -> name among `have`, where they differ beyond spelling."""
    places = [find_channel((renamed or {}).get(name, name), have) for name in wanted]
    missing = [name for name, position in zip(wanted, places, strict=True) if position is None]
    hint = shortened([f"{name}{similar_names_hint(name, have)}" for name in missing], MOST_NAMED, "; ")
    return ChannelMatch([position for position in places if position is not None], missing, hint)


def require_renamed(renamed: Iterable[str], channels: Sequence[str]) -> None:
    """Raise BadConfig if a channel to be renamed is not among the model's, with similar names."""
    for name in renamed:
        if name not in channels:
            raise BadConfig(f"--rename {name}: the model has no such channel{similar_names_hint(name, channels)}")


def similar_names(wanted: str, have: Sequence[str]) -> list[str]:
    """Return up to three names of `have` that may be meant by one that is not there.

    Those that are spelled similarly, the most similar first; without any, those of the same kind of signal (EDA for
    GSR).
    """
    by_upper = {_key(name): name for name in have if len(canonical_name(name)) > 1}
    like = get_close_matches(_key(wanted), by_upper, n=3, cutoff=LEAST_SIMILARITY) if len(wanted) > 1 else []
    kind = channel_kind(wanted)
    same = [name for name in have if kind not in (None, "eeg") and channel_kind(name) == kind]
    return [by_upper[name] for name in like] or same[:3]


def similar_names_hint(wanted: str, have: Sequence[str]) -> str:
    """Return ` (near it: Fp1, Fpz)`, or nothing where no name is similar: for the error that a channel is missing."""
    similar = similar_names(wanted, have)
    return f" (near it: {', '.join(similar)})" if similar else ""
