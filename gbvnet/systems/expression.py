"""A logistic regression on statistics of 52 facial expression coefficients: the plain baseline of the face.

Not a published system. MediaPipe gives 52 coefficients a frame (jaw open, left corner of the mouth up, ...), each 0 to
1 and meant to depend little on the subject or on the light. The features are the mean, SD, minimum, maximum and slope
of each over the window's frames. Every weight has a name, the training takes seconds, and a network that sees the same
faces should do better than this. Of a store with face features that other software measured (OpenFace's action units)
the statistics are of all of these. Pictures made with another tracker than MediaPipe have no coefficients.
"""

from typing import ClassVar, Literal

import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from typing_extensions import override

from ..errors import BadConfig
from ..evaluation.labels import has_one_class
from ..store.channels import CHUNK_ROWS
from ..store.window_source import WindowSource
from . import ALL_TASKS
from .features.extract import face_coefficients
from .learners.classical import ClassicalSystem, Parameters
from .learners.linear import constant, linear_output, weights_of

STATISTICS = ("mean", "sd", "min", "max", "slope")  # the slope is per second


class System(ClassicalSystem):
    """LogisticRegression(C=1), of ratings a Ridge, on z-scored statistics; values that a window lacks are replaced by
    the training mean."""

    modalities: ClassVar[tuple[str, ...]] = ("face",)
    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS
    face_input: ClassVar[Literal["pixels", "features", "either"]] = "either"

    @override
    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        frame_s = float(store.settings["prepare"]["window_s"]) / max(1, store.settings["frames_per_window"])
        parts = [
            statistics(face_coefficients(store, rows[i : i + CHUNK_ROWS]), frame_s)
            for i in range(0, len(rows), CHUNK_ROWS)
        ]
        return np.concatenate(parts) if parts else np.empty((0, len(STATISTICS) * 52), np.float32)

    @override
    def learn(self, x: np.ndarray, y: np.ndarray, seed: int) -> Parameters:
        with_face = ~np.isnan(x[:, 0])
        mean, sd = x[with_face].mean(axis=0), x[with_face].std(axis=0)
        sd = np.where(sd > 1e-6, sd, 1).astype(np.float32)  # a movement that never occurs
        if self.task == "binary" and has_one_class(y):  # of several targets, one may have a single class
            return constant(x.shape[1], y[0]) | {"mean": mean, "sd": sd}
        model = Ridge() if self.task == "regression" else LogisticRegression(max_iter=1000)
        return weights_of(model.fit(_scaled(x, mean, sd), y)) | {"mean": mean, "sd": sd}

    @override
    def output(self, parameters: Parameters, x: np.ndarray) -> np.ndarray:
        return linear_output(_scaled(x, parameters["mean"], parameters["sd"]), parameters, self.task)

    @classmethod
    @override
    def require_store(cls, store: WindowSource) -> None:
        """Raise BadConfig for a store whose faces were tracked by another method than mediapipe."""
        tracker = store.settings["prepare"].get("landmarks", "mediapipe")
        if tracker != "mediapipe":
            raise BadConfig(
                f"{store.path} has no expression coefficients: its faces were prepared with landmarks {tracker}, and "
                "only mediapipe gives them; prepare it with --landmarks mediapipe, or choose another system"
            )

    @override
    def refuse_missing(self, store: WindowSource, rows: np.ndarray) -> None:
        super().refuse_missing(store, rows)
        self.require_store(store)
        if not any(
            np.isfinite(face_coefficients(store, rows[i : i + CHUNK_ROWS])).any()
            for i in range(0, len(rows), CHUNK_ROWS)
        ):
            raise BadConfig(f"{store.path} has no expression coefficients in any of {len(rows)} windows")


def statistics(coefficients: np.ndarray, frame_s: float) -> np.ndarray:
    """Return statistics (n, 5 * D) float32 of coefficients (n, F, D), 52 of MediaPipe's: all means, SDs, minima, maxima
    and slopes.

    They are over the frames that show a face, which are not NaN. A window without any is all NaN.
    frame_s : time from one frame to the next, seconds
    """
    x = coefficients.astype(np.float64)
    ok = ~np.isnan(x[:, :, :1])  # (n, F, 1): all are there or none
    n = np.where(ok.any(axis=1), ok.sum(axis=1), np.nan)  # (n, 1): NaN makes all that is divided by it NaN
    x = np.where(ok, x, 0)
    mean = x.sum(axis=1) / n
    low, high = np.where(ok, x, np.inf).min(axis=1), np.where(ok, x, -np.inf).max(axis=1)
    t = frame_s * np.arange(x.shape[1])[None, :, None]
    t = np.where(ok, t - np.where(ok, t, 0).sum(axis=1, keepdims=True) / n[:, None], 0)  # about its mean
    spread = np.where((t**2).sum(axis=1) > 0, (t**2).sum(axis=1), 1)  # one frame has no slope: 0
    of_each = [
        mean,
        np.sqrt((np.where(ok, x - mean[:, None], 0) ** 2).sum(axis=1) / n),
        low + 0 * n,
        high + 0 * n,
        (t * x).sum(axis=1) / spread + 0 * n,
    ]
    return np.concatenate(of_each, axis=1).astype(np.float32)


def _scaled(x: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    return np.nan_to_num((x - mean) / sd, nan=0.0)
