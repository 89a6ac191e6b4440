"""The windows that a plug-in learns from or predicts, as arrays."""

from dataclasses import dataclass

import numpy as np

from ...config import uses_face, uses_signals
from ...store.channels import channels_of
from ...store.window_source import WindowSource


@dataclass(frozen=True)
class Inputs:
    """n windows of a modality.

    signals : (n, C, L) float32, baseline-corrected, in microvolts, microsiemens, degrees Celsius; None without signals
    faces, face_ok : (n, F, S, S, 3) uint8 and (n, F) bool, whether a frame shows a face; None without faces
    face_features : (n, F, D) float32, NaN for frames without a face, of a store that declares them; else None
    channels : (name, kind) of each signal channel. rate_hz : of the signals
    subject : (n,) the subject of each window
    """

    signals: np.ndarray | None
    faces: np.ndarray | None
    face_ok: np.ndarray | None
    channels: tuple[tuple[str, str], ...]
    rate_hz: float
    subject: np.ndarray
    face_features: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.subject)


def read_inputs(store: WindowSource, rows: np.ndarray, modality: str) -> Inputs:
    """Return rows of a store as arrays. Raises BadConfig if the store does not have what the modality needs."""
    channels = channels_of(store, modality)
    faces, ok, signals = store.read(rows, faces=uses_face(modality), signals=uses_signals(modality))
    s = store.settings
    return Inputs(
        signals=None if signals is None else np.ascontiguousarray(signals[:, channels]),
        faces=faces,
        face_ok=ok,
        channels=tuple((s["channels"][i][0], s["channels"][i][1]) for i in channels),
        rate_hz=float(s["rate_hz"]),
        subject=store.windows["subject"].to_numpy(str)[rows],
        face_features=store.face_features(rows) if uses_face(modality) and s.get("face_features") else None,
    )
