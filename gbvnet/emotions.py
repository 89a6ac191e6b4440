"""What a model says of one recording, second by second: a table, and what is written beside it.

OUT/emotions.csv      a row a window: start_s, stop_s, a probability of high for each target, gate_face, gate_bio,
                      face_ok (share of its frames that show a face), has_signals, flags
OUT/recording.json    which model and which files, how long it took, and what to know of the recording
OUT/timeline.png      the curves;  OUT/timeline.html the same to move about in, with pictures of the face
"""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from .files import write_whole
from .recording import Channel

CSV, ABOUT = "emotions.csv", "recording.json"
FLAT, FAR = 0.01, 8.0  # of a channel's training SD: a window with less swing is flat, one further away is strange
FAST = ("eeg", "eog", "ecg", "emg")
NAMED = 4  # channels in a flag, before it says how many more


@dataclass(frozen=True)
class Emotions:
    """One recording, asked about."""

    name: str
    table: pd.DataFrame
    targets: tuple[str, ...]
    sees_face: bool
    sees_signals: bool
    stamps: tuple[str, ...] = ()  # made-up data, LEAKY: what must be read before any number
    findings: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)
    faces: tuple[tuple[float, np.ndarray], ...] = ()  # a few (start_s, face (S, S, 3) uint8), for pictures
    worth: str = ""  # how often the model is right, as far as that is known: one or two sentences

    def write(self, folder: Path) -> None:
        """Write emotions.csv and recording.json, each whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents():
            write_whole(folder / name, content)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """The files that `write` writes: name and content."""
        text = io.StringIO()
        self.table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
        yield CSV, text.getvalue().encode()
        about = {"recording": self.name, "stamps": self.stamps, "worth": self.worth, "findings": self.findings}
        about |= self.about
        yield ABOUT, (json.dumps(about, indent=2, default=str) + "\n").encode()


def flags(
    has_face: np.ndarray | None,
    face_ok: np.ndarray | None,
    signals: np.ndarray | None,
    channels: tuple[Channel, ...],
    mean: np.ndarray,
    sd: np.ndarray,
) -> list[str]:
    """What is odd about each of n windows, in words with "; " between; empty for nothing.

    has_face (n,) bool, None where no face is expected; face_ok (n, F) bool
    signals (n, C, L), None where none are expected or there; mean, sd (C,) of the channels in training
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
    if signals is not None and signals.size:
        fast = np.array([c.kind in FAST for c in channels])
        flat = signals.std(axis=2) < FLAT * sd  # (n, C)
        flat[:, ~fast] = (signals.std(axis=(0, 2)) == 0)[~fast]  # what is slow hardly moves in a second
        far = np.abs(signals.mean(axis=2) - mean) > FAR * sd
        for what, of in (("flat", flat), ("far from training", far)):
            for k in np.flatnonzero(of.any(axis=1)).tolist():
                said[k].append(f"{what}: {_listed([channels[c].name for c in np.flatnonzero(of[k])])}")
    return ["; ".join(window) for window in said]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return " ".join(names[:NAMED]) + more
