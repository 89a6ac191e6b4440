"""A source read as if it had been prepared with another baseline correction, to measure what the correction changes.

Shapes: n rows, C channels, L samples a window.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import BadConfig
from ..preprocessing.signals import baseline_correction
from .window_source import Arrays, DerivedSource, WindowSource


class Rebaselined(DerivedSource):
    """The same windows, with another baseline correction (none, mean or template) than the source's own.

    A store keeps the seconds before each stimulus, so this is exact up to the rounding of float32. Its settings hold
    the new correction, and its digest differs with them. Raises BadConfig where a template has no meaning: windows of
    other than 1 s, or windows that do not start at whole seconds.
    """

    def __init__(self, source: WindowSource, baseline: str):
        super().__init__(source)
        prepare = source.settings["prepare"]
        self.original, self.baseline_now = prepare["baseline"], baseline
        step = prepare["step_s"] or prepare["window_s"]
        if "template" in (self.original, baseline) and (prepare["window_s"] != 1 or step != round(step)):
            raise BadConfig(
                f"{source.path}: baseline template needs windows of 1 s at whole seconds, and these are not"
            )
        self.settings = {**source.settings, "prepare": {**prepare, "baseline": baseline}}
        self._difference = lru_cache(maxsize=4096)(self._compute_difference)

    @override
    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.source, self.baseline_now)

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        pictures, ok, x = self.source.read(rows, faces, signals)
        if signals:
            rows = np.asarray(rows, dtype=np.int64)
            has, names = (self.windows[c].to_numpy()[rows] for c in ("has_signals", "recording"))
            for at in np.flatnonzero(has).tolist():
                x[at] += self._difference(names[at])
        return pictures, ok, x

    def _compute_difference(self, recording: str) -> np.ndarray:
        """Return what to add to a window of a recording, (C, 1) or (C, L) float32."""
        before, rate_hz = self.baseline(recording), self.settings["rate_hz"]
        if before is None:
            raise BadConfig(f"{self.path}: {recording} has no baseline to correct by")
        subtracted, wanted = (baseline_correction(before, rate_hz, how) for how in (self.original, self.baseline_now))
        return (subtracted - wanted).astype(np.float32)
