"""The objective of deep CCA against scikit-learn's CCA, QR and the gradient that its authors derive."""

import numpy as np
import pytest
import torch
from sklearn.cross_decomposition import CCA

from gbvnet.network.canonical_correlation import CanonicalCorrelation, canonical_correlations, canonical_maps


@pytest.fixture
def views():
    """Two views (200, 4) with two shared sources, mixed."""
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(200, 2))
    own = [rng.normal(size=(200, 2)) for _ in range(2)]
    noisy = [shared + s * rng.normal(size=(200, 2)) for s in (0.3, 1.0)]
    mixed = [np.hstack([a, b]) @ rng.normal(size=(4, 4)) + 5 for a, b in zip(noisy, own, strict=True)]
    return tuple(torch.from_numpy(x) for x in mixed)


def test_the_correlations_are_those_of_scikit_learn(views):
    x, y = CCA(n_components=4, scale=False, max_iter=20_000, tol=1e-12).fit_transform(*(v.numpy() for v in views))
    expected = [np.corrcoef(x[:, k], y[:, k])[0, 1] for k in range(4)]
    assert canonical_correlations(*views, r=0).tolist() == pytest.approx(expected, abs=1e-6)


def test_the_correlations_are_the_cosines_of_the_angles_between_both_spaces(views):
    """Bjorck and Golub 1973: the singular values of Q1' Q2."""
    q1, q2 = (np.linalg.qr(v.numpy() - v.numpy().mean(axis=0))[0] for v in views)
    expected = np.linalg.svd(q1.T @ q2, compute_uv=False)
    assert canonical_correlations(*views, r=0).tolist() == pytest.approx(expected.tolist(), abs=1e-10)


def test_linear_maps_change_nothing(views):
    mix = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    torch.testing.assert_close(
        canonical_correlations(views[0] @ mix, views[1] - 3, r=0), canonical_correlations(*views, r=0)
    )


def test_variates_are_white_and_correlated_in_pairs(views):
    maps = canonical_maps(*views, r=0)
    a, b = (views[0] - maps.centre1) @ maps.map1, (views[1] - maps.centre2) @ maps.map2
    eye = torch.eye(4, dtype=torch.float64)
    torch.testing.assert_close(a.T @ a / 199, eye, atol=1e-9, rtol=0)
    torch.testing.assert_close(b.T @ b / 199, eye, atol=1e-9, rtol=0)
    torch.testing.assert_close(a.T @ b / 199, torch.diag(maps.correlations), atol=1e-9, rtol=0)


def test_the_gradient_is_that_of_andrew_and_others(views):
    """Their equations 11 to 13, with matrix roots by eigenvalues: d corr / d H1 = (2 D11 H1 + D12 H2) / (n - 1), here
    of windows in rows."""
    r, n = 1e-3, 200  # r is that of the objective
    h1, h2 = (v.clone().requires_grad_() for v in views)
    CanonicalCorrelation().loss(torch.cat([h1, h2], dim=1), torch.zeros(n, 1)).backward()

    def root(s):
        values, vectors = np.linalg.eigh(s)
        return vectors @ np.diag(values**-0.5) @ vectors.T

    c1, c2 = (v.numpy() - v.numpy().mean(axis=0) for v in views)
    s11, s22 = (c.T @ c / (n - 1) + r * np.eye(4) for c in (c1, c2))
    i11, i22 = root(s11), root(s22)
    u, d, vt = np.linalg.svd(i11 @ (c1.T @ c2 / (n - 1)) @ i22)
    d12 = i11 @ u @ vt @ i22
    d11 = -0.5 * i11 @ u @ np.diag(d) @ u.T @ i11
    expected = (2 * c1 @ d11 + c2 @ d12.T) / (n - 1)
    np.testing.assert_allclose(-h1.grad.numpy(), expected, rtol=1e-3, atol=1e-6)


def test_equal_correlations_and_one_window_give_finite_gradients():
    h = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    loss = CanonicalCorrelation().loss(torch.cat([h, h], dim=1), torch.zeros(50, 1))  # all correlations are 1
    loss.backward()
    assert loss.item() == pytest.approx(-3, abs=0.01)
    assert torch.isfinite(h.grad).all()
    assert CanonicalCorrelation().loss(torch.ones(1, 6), torch.zeros(1, 1)).item() == 0
