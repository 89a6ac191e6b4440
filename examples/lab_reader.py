"""A reader of a lab's own files: one SUBJECT_TRIAL_VALENCE.npy a trial, EEG and skin conductance at 128 Hz.

gbvnet check examples/lab_reader.py:Reader FOLDER
gbvnet prepare examples/lab_reader.py:Reader FOLDER lab.store --faces false
"""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from gbvnet.datasets.label_columns import LabelColumn
from gbvnet.datasets.recording import Channel, Recording, Signals
from gbvnet.errors import BadRecording

RATE_HZ, BASELINE_S = 128.0, 1.0


@dataclass(frozen=True)
class Reader:
    """Each file holds 1 s before the stimulus and then the stimulus, (2, N): microvolts and microsiemens."""

    root: Path
    dataset: ClassVar[str] = "lab"
    source: ClassVar[str] = ""
    synthetic: ClassVar[bool] = False
    rate_hz: ClassVar[float] = RATE_HZ
    baseline_s: ClassVar[float] = BASELINE_S
    frames_per_s: ClassVar[int] = 10
    channels: ClassVar[tuple] = (Channel("Fz", "eeg"), Channel("GSR", "gsr"))
    labels: ClassVar[tuple] = (LabelColumn("valence", scale=(1, 9)),)

    @classmethod
    def open(cls, root):
        if not any(Path(root).glob("*_*_*.npy")):
            raise BadRecording(root, "files SUBJECT_TRIAL_VALENCE.npy", "none")
        return cls(Path(root))

    @property
    def units(self):
        return tuple(sorted({file.name.split("_")[0] for file in self.root.glob("*_*_*.npy")}))

    def recordings(self, unit):
        return [self._recording(file) for file in sorted(self.root.glob(f"{unit}_*_*.npy"))]

    def _recording(self, file):
        subject, trial, valence = file.stem.split("_")
        seconds = self._samples(file).shape[1] / RATE_HZ - BASELINE_S
        ratings = {"valence": float(valence)}
        return Recording(f"{subject}_{trial}", "lab", subject, trial, trial, seconds, ratings, signals=file)

    def _samples(self, file):
        try:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError) as error:
            raise BadRecording(file, "a NumPy array", f"a file that does not read ({error})") from None

    def notes(self, unit=None):
        return ()

    def inspect(self, recording):
        return recording

    def signals(self, recording):
        samples = np.asarray(self._samples(recording.signals), np.float64)
        return Signals(samples, RATE_HZ, BASELINE_S * RATE_HZ, self.channels)
