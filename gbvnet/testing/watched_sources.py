"""Sources of windows that notice what is read of them, and that read otherwise where a system must not look."""

import copy
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from ..datasets.label_columns import LabelColumn
from ..store.window_source import Arrays, DerivedSource, ModalityArrays, WindowSource, check_rows


class ObservedSource(DerivedSource):
    """Another source that notes which rows and recordings are read. Its tables are copies, so that changes show.

    rows_read : numbers of all rows that were read. recordings_read : of which the baseline or a trace was
    """

    def __init__(self, source: WindowSource):
        super().__init__(source)
        self.windows, self.recordings = source.windows.copy(), source.recordings.copy()
        self.settings = copy.deepcopy(source.settings)
        self.rows_read: set[int] = set()
        self.recordings_read: set[str] = set()

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        return super().read(self._note(rows), faces, signals)

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        return super().expression(self._note(rows))

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        return super().face_features(self._note(rows))

    @override
    def face_ok(self, rows: ArrayLike) -> np.ndarray:
        return super().face_ok(self._note(rows))

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        return super().modality(name, self._note(rows))

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        self.recordings_read.add(recording)
        return super().baseline(recording)

    @override
    def trace(self, recording: str, name: str) -> tuple[np.ndarray, np.ndarray] | None:
        self.recordings_read.add(recording)
        return super().trace(recording, name)

    def _note(self, rows: ArrayLike) -> np.ndarray:
        rows = check_rows(self, rows)
        self.rows_read.update(rows.tolist())
        return rows

    def rows_besides(self, given: np.ndarray) -> list[int]:
        """Return the rows that were read besides those given, and rows of recordings of which a baseline was."""
        recording = self.source.windows["recording"]
        others = self.recordings_read - set(recording.iloc[given])
        return sorted((self.rows_read | set(np.flatnonzero(recording.isin(others)).tolist())) - set(given.tolist()))

    def changes(self) -> list[str]:
        """Return which of its tables and settings were changed."""
        same = {
            "store.windows": self.windows.equals(self.source.windows),
            "store.recordings": self.recordings.equals(self.source.recordings),
            "store.settings": self.settings == self.source.settings,
        }
        return [name for name, unchanged in same.items() if not unchanged]


class AlteredSource(DerivedSource):
    """Another source in which some rows have other labels, and, if wanted, other faces and signals.

    rows : the numbers of those rows. arrays : whether their faces, signals and coefficients are altered too
    """

    def __init__(self, source: WindowSource, rows: Iterable[int], arrays: bool = True):
        super().__init__(source)
        self.rows, self.arrays = np.asarray(list(rows), np.int64), arrays
        self.windows = source.windows.copy()
        for name, column in source.labels.items():
            values = self.windows[name].to_numpy(copy=True)
            values[self.rows] = [_other_label(value, column) for value in values[self.rows]]
            self.windows[name] = values

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.rows, self.arrays)

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        pixels, ok, x = super().read(rows, faces, signals)
        if pixels is not None:
            at = self._altered(rows, "has_face")
            pixels[at] = 255 - pixels[at]
        if x is not None:
            at = self._altered(rows, "has_signals")
            x[at] = 50 - 3 * x[at]
        return pixels, ok, x

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        coefficients = super().expression(rows)
        at = self._altered(rows, "has_face")
        coefficients[at] = 1 - coefficients[at]
        return coefficients

    @override
    def face_features(self, rows: ArrayLike) -> np.ndarray:
        features = super().face_features(rows)
        at = self._altered(rows, "has_face")
        features[at] = 1 - features[at]
        return features

    @override
    def baseline(self, recording: str) -> np.ndarray | None:
        x = super().baseline(recording)
        altered = self.windows["recording"].iloc[self.rows] == recording
        return 50 - 3 * x if x is not None and self.arrays and altered.any() else x

    @override
    def modality(self, name: str, rows: ArrayLike) -> ModalityArrays:
        values, has = super().modality(name, rows)
        at = np.isin(check_rows(self, rows), self.rows) & self.arrays
        values[at] = 1 - 3 * values[at]
        return ModalityArrays(values, has)

    def _altered(self, rows: ArrayLike, has: str) -> np.ndarray:
        """Return which of some rows are altered, (n,) bool: of those that have the modality."""
        rows = check_rows(self, rows)
        return np.isin(rows, self.rows) & self.windows[has].to_numpy(bool)[rows] & self.arrays


def _other_label(value: Any, column: LabelColumn) -> Any:
    """Return another label than this one, as far as the column allows; a missing one stays missing."""
    if column.scale is not None:
        return sum(column.scale) - value
    return dict(zip(column.classes, [*column.classes[1:], column.classes[0]], strict=True)).get(value, value)
