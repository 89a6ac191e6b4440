"""Windows for other software: MNE's epochs, and a dataset for torch.

Each imports its library when it is used.

Shapes: W windows of a recording, C channels, L samples, F face frames, S face side.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..config import uses_face
from ..errors import BadConfig
from .channels import channels_of
from .window_source import WindowSource, check_rows

if TYPE_CHECKING:
    import torch

# MNE's channel types, and the factor to MNE's unit: volts, siemens, degrees Celsius; others as they are.
_MNE_TYPES = {
    "eeg": ("eeg", 1e-6), "eog": ("eog", 1e-6), "emg": ("emg", 1e-6), "ecg": ("ecg", 1e-6), "gsr": ("gsr", 1e-6),
    "resp": ("resp", 1.0), "ppg": ("misc", 1.0), "temp": ("temperature", 1.0),
}  # fmt: skip


def to_mne_epochs(source: WindowSource, recording: str) -> Any:
    """Return the windows of a recording as mne.EpochsArray, an epoch a window, with the table of windows as metadata.

    Values are in volts, siemens and degrees Celsius, as MNE has them; the store's are microvolts and microsiemens.
    Events are at the first sample of each window from the start of the stimulus, with code 1. Raises BadConfig for a
    recording that the source does not have or has twice (two stores joined), or that has no signals.
    """
    import mne

    table = source.windows[source.windows["recording"] == recording]
    if table.empty:
        raise BadConfig(f"{source.path} has no recording {recording}")
    if table["window"].duplicated().any():
        raise BadConfig(f"{source.path} has two recordings {recording}: convert each store alone")
    if not table["has_signals"].all():
        raise BadConfig(f"{source.path}: {recording} has no signals")
    signals = source.read(table.index.to_numpy(), faces=False)[2].astype(np.float64)  # (W, C, L)
    channels, rate_hz = source.settings["channels"], float(source.settings["rate_hz"])
    kinds = [_MNE_TYPES[kind] for _, kind in channels]
    info = mne.create_info([name for name, _ in channels], rate_hz, [kind for kind, _ in kinds])
    onsets = np.round(table["start_s"].to_numpy() * rate_hz).astype(int)
    events = np.stack([onsets, np.zeros(len(onsets), int), np.ones(len(onsets), int)], axis=1)
    return mne.EpochsArray(
        signals * np.array([scale for _, scale in kinds])[:, None], info, events, tmin=0.0,
        metadata=table.reset_index(drop=True), verbose="error",
    )  # fmt: skip


class WindowDataset:
    """Some windows as a map-style dataset for torch.utils.data.DataLoader: an item is a dict of tensors.

    rows : (n,) row numbers of the source. y : (n, ...) labels, which an item then has as `y`
    modality : what an item has: faces (F, 3, S, S) float32 in [0, 1] with face_ok (F,) bool, and signals (C, L) float32
        of its channels. Each item has its `row`. Of a source without pictures, face_features (F, D) float32, NaN in
        frames without a face, are there instead of faces

    Windows are read from the store item by item; a DataLoader with workers opens the store again in each. Raises
    GbvnetError for rows that do not exist, and BadConfig for another number of labels.
    """

    def __init__(self, source: WindowSource, rows: ArrayLike, y: ArrayLike | None = None, modality: str = "facebio"):
        self.source, self.rows, self.modality = source, check_rows(source, rows), modality
        self.y = None if y is None else np.asarray(y)
        if self.y is not None and len(self.y) != len(self.rows):
            raise BadConfig(f"{len(self.y)} labels for {len(self.rows)} rows")
        self.channels = channels_of(source, modality)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: int) -> "dict[str, torch.Tensor]":
        import torch

        if not -len(self) <= at < len(self):
            raise IndexError(at)
        row = self.rows[[at]]
        faces, ok, signals = self.source.read(row, faces=uses_face(self.modality), signals=bool(self.channels))
        item = {"row": torch.tensor(int(row[0]))}
        if faces is not None:
            item["faces"] = torch.from_numpy(faces[0]).permute(0, 3, 1, 2) / 255
        elif ok is not None:
            item["face_features"] = torch.from_numpy(self.source.face_features(row)[0])
        if ok is not None:
            item["face_ok"] = torch.from_numpy(np.ascontiguousarray(ok[0]))
        if signals is not None:
            item["signals"] = torch.from_numpy(np.ascontiguousarray(signals[0][self.channels]))
        return item if self.y is None else item | {"y": torch.as_tensor(self.y[at])}
