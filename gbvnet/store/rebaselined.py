"""A store read as if it had been prepared with another baseline, so that one can ask what the baseline does to a score.

Shapes: n rows, C channels, L samples a window.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from typing_extensions import override

from ..errors import BadConfig
from ..preprocessing.signals import baseline_mark
from .reader import Store


class Rebaselined(Store):
    """The same windows, their signals freed of `baseline` (none, mean or template) instead of the store's own.

    A store keeps the seconds before each stimulus, so this is exact up to the rounding of float32. Its settings say the
    new baseline, and its digest differs with them. Raises BadConfig where a template has no meaning: windows of other
    than 1 s, or that do not start at whole seconds.
    """

    def __init__(self, path: str | Path, baseline: str):
        super().__init__(path)
        made = self.settings["prepare"]
        self.was, self.baseline_now = made["baseline"], baseline
        step = made["step_s"] or made["window_s"]
        if "template" in (self.was, baseline) and (made["window_s"] != 1 or step != round(step)):
            raise BadConfig(f"{path}: baseline template needs windows of 1 s at whole seconds, and these are not")
        self.settings = {**self.settings, "prepare": {**made, "baseline": baseline}}
        self._difference = lru_cache(maxsize=4096)(self._work_out)

    @override
    def __getstate__(self) -> Any:
        return self.path, self.baseline_now

    @override
    def __setstate__(self, state: Any) -> None:
        self.__init__(*state)  # type: ignore[misc]

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> tuple[Any, Any, Any]:
        rows = np.asarray(rows, dtype=np.int64)
        found = super().read(rows, faces, signals)
        if signals:
            has, names = (self.windows[c].to_numpy()[rows] for c in ("has_signals", "recording"))
            for at in np.flatnonzero(has).tolist():
                found[2][at] += self._difference(names[at])
        return found

    def _work_out(self, recording: str) -> np.ndarray:
        """What to add to a window of a recording, (C, 1) or (C, L) float32."""
        before, rate_hz = self.baseline(recording), self.settings["rate_hz"]
        if before is None:
            raise BadConfig(f"{self.path}: {recording} has no baseline to work with")
        return (baseline_mark(before, rate_hz, self.was) - baseline_mark(before, rate_hz, self.baseline_now)).astype(
            np.float32
        )
