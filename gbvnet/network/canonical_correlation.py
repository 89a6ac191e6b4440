"""Canonical correlations of two sets of features, differentiable, and the linear maps that attain them.

Andrew, Arora, Bilmes, Livescu (2013), "Deep Canonical Correlation Analysis". With centred H1, H2 of n rows,
S11 = H1' H1 / (n - 1) + r I, S22 alike and S12 = H1' H2 / (n - 1), the canonical correlations are the singular values
of T = S11^(-1/2) S12 S22^(-1/2); their sum is the objective. Here roots are Cholesky factors L1 L1' = S11, since
L1^-1 S12 L2^-T has the same singular values, and its gradient is finite where eigenvalues are equal.

Shapes: n rows, k features of either set.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from typing_extensions import override

from .objectives import Objective

REGULARISATION = 1e-3  # r, of features of about unit variance


class CanonicalMaps(NamedTuple):
    """Linear maps to canonical variates: (h1 - centre1) @ map1 and (h2 - centre2) @ map2, in the order of correlation.

    Variates of a set have unit variance and no correlation; those of the two sets have correlation only in pairs.
    """

    centre1: Tensor  # (k,)
    map1: Tensor  # (k, k)
    centre2: Tensor
    map2: Tensor
    correlations: Tensor  # (k,) descending


def canonical_correlations(h1: Tensor, h2: Tensor, r: float = REGULARISATION) -> Tensor:
    """Return the canonical correlations (k,) of features (n, k) and (n, k), descending."""
    return torch.linalg.svdvals(_whitened(h1, h2, r)[0])


def canonical_maps(h1: Tensor, h2: Tensor, r: float = REGULARISATION) -> CanonicalMaps:
    """Return the maps of both sets (n, k) to their canonical variates."""
    t, root1, root2 = _whitened(h1, h2, r)
    u, s, vt = torch.linalg.svd(t)
    maps = [torch.linalg.solve_triangular(root.T, x, upper=True) for root, x in ((root1, u), (root2, vt.T))]
    return CanonicalMaps(h1.mean(0), maps[0], h2.mean(0), maps[1], s)


def _whitened(h1: Tensor, h2: Tensor, r: float) -> tuple[Tensor, Tensor, Tensor]:
    """T (k, k) and the Cholesky factors of S11 and S22."""
    n = len(h1)
    c1, c2 = h1 - h1.mean(0), h2 - h2.mean(0)
    eye = torch.eye(h1.shape[1], dtype=h1.dtype, device=h1.device)
    root1, root2 = (torch.linalg.cholesky(c.T @ c / (n - 1) + r * eye) for c in (c1, c2))
    left = torch.linalg.solve_triangular(root1, c1.T @ c2 / (n - 1), upper=False)
    return torch.linalg.solve_triangular(root2, left.T, upper=False).T, root1, root2


class CanonicalCorrelation(Objective):
    """Minus the sum of the canonical correlations of both halves of the output, (B, k) each; no label is used.

    A batch of fewer than two windows has none, and counts as 0.
    """

    @override
    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        if len(output) < 2:
            return 0 * output.sum()
        h1, h2 = output.float().chunk(2, dim=1)
        return -canonical_correlations(h1, h2).sum()

    @override
    def hits(self, output: Tensor, y: Tensor) -> Tensor:
        return torch.full((), torch.nan, device=output.device)
