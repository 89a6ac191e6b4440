"""The prediction of one recording, window by window: a table, and the files that are written for it.

OUT/emotions.csv      a row per window: start_s, stop_s, for each target the probability of its positive class, of
                      each of its classes, or the rating (model_outputs.py), gate_face, gate_bio, face_ok (share of its
                      frames that show a face), has_signals, flags, stamps, worth
OUT/recording.json    model, files, computing time, and warnings about the recording
OUT/timeline.png      the curves;  OUT/timeline.html the same as an interactive page, with pictures of the face
"""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..datasets.recording import Channel
from ..io.atomic import atomic_write
from ..io.safe_load import from_json
from .model_outputs import Mean, ModelOutputs

CSV, DETAILS = "emotions.csv", "recording.json"
# In units of a channel's training SD: a window that varies less is flat, one that deviates more is far from training.
FLAT, FAR = 0.01, 8.0
FAST = ("eeg", "eog", "ecg", "emg")
FAR_FROM_TRAINING = "far from training"
MAX_NAMES = 4  # channels in a flag, before the others are counted


def columns(targets: Sequence[str]) -> tuple[str, ...]:
    """Return the column names of a prediction, of a recording or of a stream.

    stamps and worth are the same in every row: a table that is cut, joined or sent on keeps them, and readers of
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
class RecordingPrediction:
    """The prediction of one recording."""

    name: str
    table: pd.DataFrame  # with the columns that `columns` names
    outputs: ModelOutputs
    uses_face: bool
    uses_signals: bool
    stamps: tuple[str, ...] = ()  # synthetic data, LEAKY: warnings that belong to every number
    warnings: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    faces: tuple[tuple[float, np.ndarray], ...] = ()  # a few (start_s, face (S, S, 3) uint8), for pictures
    accuracy_note: str = ""  # what is known of the model's accuracy: one or two sentences
    smooth_s: float | None = None  # averaging length of the columns that `smooth_name` names

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the columns with predictions."""
        return self.outputs.names

    @property
    def modalities(self) -> str:
        """The modalities that windows were predicted from: face, signals, or face and signals."""
        parts = (("face", self.uses_face), ("signals", self.uses_signals))
        return " and ".join(name for name, used in parts if used)

    def write(self, folder: Path) -> None:
        """Write emotions.csv and recording.json, each atomically."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents():
            atomic_write(folder / name, content)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and content of each file that `write` writes."""
        text = io.StringIO()
        self.table.to_csv(text, index=False, float_format="%.6g", lineterminator="\n")
        yield CSV, text.getvalue().encode()
        details = {
            "recording": self.name, "stamps": self.stamps, "worth": self.accuracy_note, **self.outputs.details,
            "findings": self.warnings, **self.details,
        }  # fmt: skip
        yield DETAILS, (json.dumps(details, indent=2, default=str) + "\n").encode()


def read_details(folder: Path) -> dict[str, Any] | None:
    """Return recording.json of a folder, {} if it is not readable; None if the folder has no emotions.csv."""
    if not (folder / CSV).exists():
        return None
    try:
        details = from_json((folder / DETAILS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return details if isinstance(details, dict) else {}


def smooth_name(target: str) -> str:
    """Return the column name of a target's smoothed curve."""
    return f"{target}_smooth"


def with_smooth(table: pd.DataFrame, outputs: ModelOutputs, smooth_s: float) -> pd.DataFrame:
    """Return the table with an additional column for each of the model's: its mean over `smooth_s` seconds centred on
    each window.

    Of probabilities the mean is taken of log odds (of several classes of log probabilities), over the windows whose
    centres lie within `smooth_s` / 2, as for a trial's score in the reports; so it gives a confident window more weight
    than a mean of probabilities would. At both ends it covers fewer windows. Windows without a prediction are left out
    and get none.
    """
    centre = ((table["start_s"] + table["stop_s"]) / 2).to_numpy()
    half = 1e-6 + smooth_s / 2
    first, past = np.searchsorted(centre, centre - half), np.searchsorted(centre, centre + half)
    means = outputs.averaged(table[[*outputs.names]].to_numpy(float), Mean(first, past))  # (W, K)
    smoothed = table.copy()
    for name, column in zip(outputs.names, means.T, strict=True):
        smoothed[smooth_name(name)] = column
    return smoothed


def face_flags(face_ok: np.ndarray) -> list[str]:
    """Return for each of n windows whether its face is missing in all or some of its frames; "" for a full window.

    face_ok : (n, F) bool
    """
    n_ok, n_frames = face_ok.sum(axis=1).tolist(), face_ok.shape[1]
    return ["no face" if not ok else f"face in {ok} of {n_frames} frames" if ok < n_frames else "" for ok in n_ok]


def signal_flags(signals: np.ndarray, channels: Sequence[Channel], mean: np.ndarray, sd: np.ndarray) -> list[list[str]]:
    """Return for each of n windows which channels are flat, and which are far from the training data.

    signals : (n, C, L)        mean, sd : (C,) of the channels in training
    """
    flagged: list[list[str]] = [[] for _ in signals]
    if not signals.size:
        return flagged
    fast = np.array([c.kind in FAST for c in channels])
    flat = signals.std(axis=2) < FLAT * sd  # (n, C)
    flat[:, ~fast] = (signals.std(axis=(0, 2)) == 0)[~fast]  # slow signals hardly change within a second
    far = (np.abs(signals.mean(axis=2) - mean) > FAR * sd) | (signals.std(axis=2) > FAR * sd)
    for label, mask in (("flat", flat), (FAR_FROM_TRAINING, far)):
        for k in np.flatnonzero(mask.any(axis=1)).tolist():
            flagged[k].append(f"{label}: {_channel_list([channels[c].name for c in np.flatnonzero(mask[k]).tolist()])}")
    return flagged


def unusual_face_flag(properties: str) -> str:
    """Return the flag of a window whose face has these properties far from the training data; "" for none."""
    return f"{FAR_FROM_TRAINING}: {properties}" if properties else ""


def joined_flags(*flags: str) -> str:
    """Join the flags of one window with "; ", empty ones left out."""
    return "; ".join(flag for flag in flags if flag)


def far_from_training_warning(flags: Sequence[str]) -> str:
    """Return a sentence on how many windows are unlike the training data; "" for none. flags: of all windows."""
    n = sum(FAR_FROM_TRAINING in text for text in flags)
    count = f"{n} of {len(flags)} windows are far from the training data (column flags says why)"
    return f"{count}: the model's predictions there are extrapolations" if n else ""


def _channel_list(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES} more" if len(names) > MAX_NAMES else ""
    return " ".join(names[:MAX_NAMES]) + more
