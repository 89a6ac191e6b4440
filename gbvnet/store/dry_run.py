"""A store that does not exist yet, described by its size alone, to plan before anything is prepared."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import PrepareConfig, stored_settings
from ..datasets import deap, mahnob
from ..datasets.label_columns import LabelColumn, label_settings
from ..errors import BadConfig
from ..preprocessing.windowing import window_starts
from .prepared_faces import face_settings
from .window_source import N_EXPRESSION, Arrays, WindowSource, check_rows

RATE_HZ, BASELINE_S = 128, 3  # of both corpora in a store
FRAMES_PER_S = {"deap": 10, "mahnob": 12}
CHANNELS = {name: [[c.name, c.kind] for c in reader.CHANNELS] for name, reader in (("deap", deap), ("mahnob", mahnob))}
LABELS = {"deap": deap.LABELS, "mahnob": mahnob.LABELS}
SIZE = re.compile(r"(\w+):(\d+)x(\d+)x(\d+)")


class DryRunStore(WindowSource):
    """So many subjects, each with so many trials of so many seconds, all with a face video. Reads return noise.

    text : corpus:SUBJECTSxTRIALSxSECONDS, as in deap:22x40x60. Raises BadConfig for another text
    """

    def __init__(self, text: str, prepare: PrepareConfig | None = None):
        size = SIZE.fullmatch(text)
        if not size or size[1] not in CHANNELS or not all(int(size[k]) for k in (2, 3, 4)):
            corpora = " or ".join(CHANNELS)
            raise BadConfig(
                f"describe {text}: expected {corpora}, then subjects x trials x seconds, as in deap:22x40x60"
            )
        self.text, self.prepare = text, prepare or PrepareConfig()
        self.path = Path(text)
        self.settings = _settings(size[1], self.prepare)
        self.windows = _windows(size[1], int(size[2]), int(size[3]), int(size[4]), self.prepare)
        recordings = self.windows["recording"].unique()
        self.recordings = pd.DataFrame({"recording": recordings, "verdict": "ok", "sha256": ""})

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.text, self.prepare)

    @override
    def __repr__(self) -> str:
        return f"DryRunStore({self.text!r}: {len(self)} windows)"

    @property
    def nbytes(self) -> int:
        """The size of such a store on disk, in bytes, to about a per cent."""
        s = self.settings
        face = s["frames_per_window"] * (3 * s["face_side"] ** 2 + 1 + 4 * len(self.face_feature_names))
        signals = 4 * len(s["channels"]) * s["samples_per_window"]
        baseline = 4 * len(s["channels"]) * BASELINE_S * RATE_HZ
        return len(self) * (face + signals) + len(self.recordings) * baseline

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        n, s, rng = len(check_rows(self, rows)), self.settings, np.random.default_rng(0)
        shape = (n, s["frames_per_window"], s["face_side"], s["face_side"], 3)
        pictures = rng.integers(0, 256, shape, np.uint8) if faces and (self.has_pixels or not shape[1]) else None
        ok = np.ones(shape[:2], bool) if faces else None
        x = rng.standard_normal((n, len(s["channels"]), s["samples_per_window"]), np.float32) if signals else None
        return pictures, ok, x

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return np.ones((len(check_rows(self, rows)), self.settings["frames_per_window"]), bool)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        shape = (len(check_rows(self, rows)), self.settings["frames_per_window"], N_EXPRESSION)
        return np.random.default_rng(0).random(shape, np.float32)

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        shape = (len(check_rows(self, rows)), self.settings["frames_per_window"], len(self.face_feature_names))
        return np.random.default_rng(0).random(shape, np.float32)

    @override
    def trace(self, recording: str, name: str) -> None:
        return None

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        if not (self.recordings["recording"] == recording).any():
            raise KeyError(recording)
        n = len(self.settings["channels"])
        return np.random.default_rng(0).standard_normal((n, BASELINE_S * RATE_HZ), np.float32) if n else None


def _settings(dataset: str, prepare: PrepareConfig) -> dict[str, Any]:
    frames = prepare.frames_per_window or max(1, round(FRAMES_PER_S[dataset] * prepare.window_s))
    channels = [c for c in CHANNELS[dataset] if prepare.channels is None or c[0] in prepare.channels]
    return {
        "dataset": dataset,
        "synthetic": False,
        "prepare": stored_settings(prepare),
        "channels": channels if prepare.signals else [],
        "rate_hz": float(RATE_HZ),
        "samples_per_window": round(prepare.window_s * RATE_HZ),
        "frames_per_window": frames if prepare.faces else 0,
        **face_settings(prepare),
        "baseline_s": float(BASELINE_S),
        "labels": label_settings(LABELS[dataset]),
    }


def _windows(dataset: str, subjects: int, trials: int, seconds: int, prepare: PrepareConfig) -> pd.DataFrame:
    """Return one row a window; half of the trials have ratings of the positive class, and all classes occur."""
    starts = window_starts(seconds, prepare.window_s, prepare.step_s or prepare.window_s)
    s, t, w = (a.ravel() for a in np.meshgrid(range(subjects), range(trials), range(len(starts)), indexing="ij"))
    subject, trial = np.char.mod("s%02d", s + 1), np.char.mod("%02d", t + 1)
    return pd.DataFrame(
        {
            "recording": np.char.add(np.char.add(subject, "_"), trial),
            "subject": subject,
            "trial": trial,
            "stimulus": trial,
            "window": w.astype(np.int64),
            "start_s": starts[w],
            "has_face": prepare.faces,
            "has_signals": prepare.signals,
        }
        | {column.name: _label(column, s + t) for column in LABELS[dataset]}
    )


def _label(column: LabelColumn, trial: np.ndarray) -> np.ndarray:
    """Return a label for each number of a trial: a quarter or three of the scale, the classes in turn."""
    if column.scale is None:
        return np.array(column.classes, dtype=object)[trial % len(column.classes)]
    low, high = column.scale
    return low + (high - low) * np.where(trial % 2, 0.75, 0.25)
