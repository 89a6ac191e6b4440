"""Face frames without a face, for networks whose convolutions run over time: B windows, F frames, S face side."""

import torch
from torch import Tensor


def nearest_good(faces: Tensor, ok: Tensor) -> Tensor:
    """Return the faces with each frame that is not good replaced by the nearest good one of its window.

    Of two equally near frames it is the earlier.

    faces, result: (B, F, 3, S, S). ok: (B, F) bool.
    """
    t = torch.arange(ok.shape[1], device=ok.device)
    away = (t[:, None] - t).abs().expand(len(ok), -1, -1)  # (B, F, F): distance of each frame from each
    instead = away.masked_fill(~ok[:, None], len(t)).argmin(2)  # (B, F)
    return faces[torch.arange(len(ok), device=ok.device)[:, None], instead]
