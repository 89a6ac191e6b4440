"""What a model says of one recording, second by second: a table, and what is written beside it.

OUT/emotions.csv      a row a window: start_s, stop_s, a probability of high for each target, gate_face, gate_bio,
                      face_ok (share of its frames that show a face), has_signals, flags, stamps, worth
OUT/recording.json    which model and which files, how long it took, and what to know of the recording
OUT/timeline.png      the curves;  OUT/timeline.html the same to move about in, with pictures of the face
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from ..datasets.recording import Channel
from ..io.atomic import atomic_write
from ..io.safe_load import from_json

CSV, ABOUT = "emotions.csv", "recording.json"
FLAT, FAR = 0.01, 8.0  # of a channel's training SD: a window with less swing is flat, one further away is strange
FAST = ("eeg", "eog", "ecg", "emg")
CERTAIN = 1e-6  # probabilities are kept this far from 0 and 1 before their log odds are taken
FAR_WORDS = "far from training"
NAMED = 4  # channels in a flag, before it says how many more


def columns(targets: Sequence[str]) -> tuple[str, ...]:
    """Names of the columns of a prediction, of a recording or of a stream.

    stamps and worth are the same in every row: a table that is cut, joined or sent on takes them along, and readers of
    CSV files need no option for comment lines.
    """
    return (
        "start_s",
        "stop_s",
        *targets,
        "gate_face",
        "gate_bio",
        "face_ok",
        "has_signals",
        "flags",
        "stamps",
        "worth",
    )


@dataclass(frozen=True)
class Emotions:
    """One recording, asked about."""

    name: str
    table: pd.DataFrame
    targets: tuple[str, ...]
    sees_face: bool
    sees_signals: bool
    stamps: tuple[str, ...] = ()  # synthetic data, LEAKY: what must be read before any number
    findings: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    faces: tuple[tuple[float, np.ndarray], ...] = ()  # a few (start_s, face (S, S, 3) uint8), for pictures
    worth: str = ""  # how often the model is right, as far as that is known: one or two sentences
    smooth_s: float | None = None  # over which the columns that `smooth_name` names are means
    high: str = ""  # what a curve is the probability of, as "the rating is 5 or more of 9"

    @property
    def curve(self) -> str:
        """What the columns named after ratings are, in words."""
        return f"probability that {self.high or 'the rating is high'}"

    @property
    def seen(self) -> str:
        """What each window was made of, in words."""
        parts = (("face", self.sees_face), ("signals", self.sees_signals))
        return " and ".join(what for what, there in parts if there)

    def write(self, folder: Path) -> None:
        """Write emotions.csv and recording.json, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents():
            atomic_write(folder / name, content)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The files that `write` writes: name and content."""
        text = io.StringIO()
        self.table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
        yield CSV, text.getvalue().encode()
        about = {
            "recording": self.name, "stamps": self.stamps, "worth": self.worth, "high": self.high,
            "findings": self.findings, **self.about,
        }  # fmt: skip
        yield ABOUT, (json.dumps(about, indent=2, default=str) + "\n").encode()


def held_prediction(folder: Path) -> dict[str, Any] | None:
    """What recording.json of a folder says, {} if that does not read; None if no emotions.csv is there to be lost."""
    if not (folder / CSV).exists():
        return None
    try:
        held = from_json((folder / ABOUT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return held if isinstance(held, dict) else {}


def smooth_name(target: str) -> str:
    """The column of a target's smoothed curve."""
    return f"{target}_smooth"


def with_smooth(table: pd.DataFrame, targets: Sequence[str], smooth_s: float) -> pd.DataFrame:
    """The table with a column more for each target: the mean over `smooth_s` seconds centred on each window.

    The mean is of log odds over the windows whose middles lie within `smooth_s` / 2, as a trial's score is in the
    reports; so it weighs a certain window more than a mean of probabilities would. At the ends it is of fewer windows.
    A window without an answer counts for nothing and gets none.
    """
    middle = ((table["start_s"] + table["stop_s"]) / 2).to_numpy()
    near = 1e-6 + smooth_s / 2
    first, past = np.searchsorted(middle, middle - near), np.searchsorted(middle, middle + near)
    made = table.copy()
    for target in targets:
        odds = logit(np.clip(table[target].to_numpy(), CERTAIN, 1 - CERTAIN))
        there = np.isfinite(odds)
        total, count = (np.append(0, np.cumsum(x)) for x in (np.where(there, odds, 0), there))
        with np.errstate(invalid="ignore"):
            mean = (total[past] - total[first]) / (count[past] - count[first])
        made[smooth_name(target)] = np.where(there, expit(mean), np.nan)
    return made


def flags(
    has_face: np.ndarray | None,
    face_ok: np.ndarray | None,
    signals: np.ndarray | None,
    channels: tuple[Channel, ...],
    mean: np.ndarray,
    sd: np.ndarray,
    far_faces: Sequence[str] = (),
) -> list[str]:
    """What is odd about each of n windows, in words with "; " between; empty for nothing.

    has_face (n,) bool, None where no face is expected; face_ok (n, F) bool
    signals (n, C, L), None where none are expected or there; mean, sd (C,) of the channels in training
    far_faces : n names of what about a face is far from the training (`facestats.far`), or none
    """
    n = len(has_face if has_face is not None else signals)  # type: ignore[arg-type]
    said: list[list[str]] = [[] for _ in range(n)]
    if has_face is not None:
        for window, has in zip(said, has_face.tolist(), strict=True):
            if not has:
                window.append("no face")
        if face_ok is not None:
            share = face_ok.mean(axis=1)
            for k in np.flatnonzero((share > 0) & (share < 1)).tolist():
                said[k].append(f"face in {face_ok[k].sum()} of {face_ok.shape[1]} frames")
    for window, names in zip(said, far_faces, strict=False):
        if names:
            window.append(f"{FAR_WORDS}: {names}")
    if signals is not None and signals.size:
        fast = np.array([c.kind in FAST for c in channels])
        flat = signals.std(axis=2) < FLAT * sd  # (n, C)
        flat[:, ~fast] = (signals.std(axis=(0, 2)) == 0)[~fast]  # what is slow hardly moves in a second
        far = (np.abs(signals.mean(axis=2) - mean) > FAR * sd) | (signals.std(axis=2) > FAR * sd)
        for what, of in (("flat", flat), (FAR_WORDS, far)):
            for k in np.flatnonzero(of.any(axis=1)).tolist():
                said[k].append(f"{what}: {_listed([channels[c].name for c in np.flatnonzero(of[k])])}")
    return ["; ".join(window) for window in said]


def far_finding(flags: Sequence[str]) -> str:
    """How many windows are unlike the training data, in a sentence; "" for none. flags: of all windows."""
    n = sum(FAR_WORDS in text for text in flags)
    told = f"{n} of {len(flags)} windows are far from the training data (flags say in what)"
    return f"{told}: what the model says of them is a guess outside of what it knows" if n else ""


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return " ".join(names[:NAMED]) + more
