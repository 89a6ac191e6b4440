"""A store that does not exist yet, known by its size alone, so that one can plan before anything is prepared."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from typing_extensions import override

from ..config import RATINGS, PrepareConfig, to_dict
from ..datasets import deap, mahnob
from ..errors import BadConfig
from ..preprocessing.windowing import window_starts
from .reader import Store

RATE_HZ, BASELINE_S = 128, 3  # of both corpora in a store
FRAMES_PER_S = {"deap": 10, "mahnob": 12}
CHANNELS_OF = {
    name: [[c.name, c.kind] for c in reader.CHANNELS] for name, reader in (("deap", deap), ("mahnob", mahnob))
}
EXPRESSION = 52  # MediaPipe's coefficients, float32, are kept of each frame
SIZE = re.compile(r"(\w+):(\d+)x(\d+)x(\d+)")


class Described(Store):
    """So many people, each with so many trials of so many seconds, all filmed. Reads give noise."""

    def __init__(self, text: str, prepare: PrepareConfig | None = None):
        """text : corpus:PEOPLExTRIALSxSECONDS, as in deap:22x40x60. Raises BadConfig."""
        found = SIZE.fullmatch(text)
        if not found or found[1] not in CHANNELS_OF or not all(int(found[k]) for k in (2, 3, 4)):
            known = " or ".join(CHANNELS_OF)
            raise BadConfig(f"describe {text}: expected {known}, then people x trials x seconds, as in deap:22x40x60")
        self.text, self.asked = text, prepare or PrepareConfig()
        self.path = Path(text)
        self.settings = _settings(found[1], self.asked)
        self.windows = _windows(int(found[2]), int(found[3]), int(found[4]), self.asked)
        recordings = self.windows["recording"].unique()
        self.recordings = pd.DataFrame({"recording": recordings, "verdict": "ok", "sha256": ""})

    @override
    def __getstate__(self) -> Any:
        return self.text, self.asked

    @override
    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @override
    def __repr__(self) -> str:
        return f"Described({self.text!r}: {len(self)} windows)"

    @property
    def nbytes(self) -> int:
        """What such a store will take on disk, to a per cent or so."""
        s = self.settings
        face = s["frames_per_window"] * (3 * s["face_side"] ** 2 + 1 + 4 * EXPRESSION)
        signals = 4 * len(s["channels"]) * s["samples_per_window"]
        before = 4 * len(s["channels"]) * BASELINE_S * RATE_HZ
        return len(self) * (face + signals) + len(self.recordings) * before

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> tuple[Any, Any, Any]:
        n, s, rng = len(np.asarray(rows)), self.settings, np.random.default_rng(0)
        shape = (n, s["frames_per_window"], s["face_side"], s["face_side"], 3)
        seen = rng.integers(0, 256, shape, np.uint8) if faces else None
        ok = np.ones(shape[:2], bool) if faces else None
        heard = rng.standard_normal((n, len(s["channels"]), s["samples_per_window"]), np.float32) if signals else None
        return seen, ok, heard

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        shape = (len(np.asarray(rows)), self.settings["frames_per_window"], EXPRESSION)
        return np.random.default_rng(0).random(shape, np.float32)

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        if not (self.recordings["recording"] == recording).any():
            raise KeyError(recording)
        n = len(self.settings["channels"])
        return np.random.default_rng(0).standard_normal((n, BASELINE_S * RATE_HZ), np.float32) if n else None


def _settings(dataset: str, prepare: PrepareConfig) -> dict[str, Any]:
    frames = prepare.frames_per_window or max(1, round(FRAMES_PER_S[dataset] * prepare.window_s))
    channels = [c for c in CHANNELS_OF[dataset] if prepare.channels is None or c[0] in prepare.channels]
    return {
        "dataset": dataset,
        "synthetic": False,
        "prepare": to_dict(prepare),
        "channels": channels if prepare.signals else [],
        "rate_hz": float(RATE_HZ),
        "samples_per_window": round(prepare.window_s * RATE_HZ),
        "frames_per_window": frames if prepare.faces else 0,
        "face_side": prepare.face_side if prepare.faces else 0,
        "baseline_s": float(BASELINE_S),
    }


def _windows(people: int, trials: int, seconds: int, prepare: PrepareConfig) -> pd.DataFrame:
    """One row a window; half of the trials are rated high."""
    starts = window_starts(seconds, prepare.window_s, prepare.step_s or prepare.window_s)
    p, t, w = (a.ravel() for a in np.meshgrid(range(people), range(trials), range(len(starts)), indexing="ij"))
    subject, trial = np.char.mod("s%02d", p + 1), np.char.mod("%02d", t + 1)
    rating = np.where((p + t) % 2, 7.0, 3.0)
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
        | {name: rating for name in RATINGS}
    )
