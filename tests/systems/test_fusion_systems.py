"""Systems that fuse GBV-Net's two encoders after their training: what each fusion computes, checked by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from gbvnet.config import CrossvalConfig, ModelConfig, TrainConfig
from gbvnet.errors import BadConfig, BadStore
from gbvnet.systems import system
from gbvnet.systems.bddae import Autoencoder
from gbvnet.systems.deep_cca import DeepCCA
from gbvnet.systems.learners.late_fusion import adaboost_weights, enumerated_weights
from gbvnet.testing import SyntheticStore, SyntheticWindows

CONFIG = CrossvalConfig(
    target="valence",
    modality="facebio",
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=1, batch_size=16, device="cpu", augment=False),
)


@pytest.fixture(scope="module")
def store():
    return SyntheticStore(SyntheticWindows(missing=(((1, 1), "face"), ((2, 2), "signals"))))


def fit(name, store, **options):
    y = (store.windows["valence"] >= 5).to_numpy().astype(float)
    made = system(name)(replace(CONFIG, system=name, options=options))
    train, validation = np.arange(60), np.arange(60, 90)
    return made.fit(store, train, y[train], validation=(validation, y[validation]), seed=0), y


def random_features(n=200):
    draw = torch.Generator().manual_seed(0)
    shared = torch.randn(n, 3, generator=draw)
    f = torch.randn(n, 128, generator=draw)
    b = torch.randn(n, 64, generator=draw)
    f[:, :3] += 2 * shared
    b[:, :3] -= 2 * shared
    return f, b


@torch.no_grad()
def test_the_sum_is_of_aligned_variates_and_of_the_one_that_there_is():
    torch.manual_seed(0)
    fusion, (f, b) = DeepCCA(3, 0.25), random_features()
    fusion.finish(f, b)
    both, only_face, only_signals = (
        torch.tensor([has]).expand(200, 2) for has in ((True, True), (True, False), (False, True))
    )
    face, signals = fusion.fused(f, b, only_face), fusion.fused(f, b, only_signals)
    torch.testing.assert_close(fusion.fused(f, b, both), 0.25 * face + 0.75 * signals)
    pairs = np.corrcoef(face.T.numpy(), signals.T.numpy())[:3, 3:]
    assert (np.diag(pairs) > 0).all() and np.abs(pairs - np.diag(np.diag(pairs))).max() < 0.02
    assert face.std(0).tolist() == pytest.approx([1] * 3, abs=0.01)


@torch.no_grad()
def test_the_autoencoder_hides_a_modality_in_two_thirds_of_training_windows_alone():
    torch.manual_seed(0)
    fusion, (f, b) = Autoencoder(), random_features(900)
    shown = []
    fusion._code = lambda f, b: shown.append((f.any(1), b.any(1))) or torch.zeros(len(f), 32)
    fusion.train().trained(f, b)
    fusion.eval().trained(f, b)
    (face, signals), (face_later, signals_later) = shown
    assert 240 < (~face).sum() < 360 and 240 < (~signals).sum() < 360
    assert (face | signals).all()
    assert face_later.all() and signals_later.all()


@pytest.mark.journey
def test_features_are_scaled_by_the_training_windows_that_have_them(store):
    fitted, _ = fit("bddae", store)
    f, b = fitted.features(store, np.arange(60))
    assert f.isnan().any(1).sum() == 5 and b.isnan().any(1).sum() == 5
    known = f[~f.isnan().any(1)].double()
    torch.testing.assert_close(fitted.fusion.mean[:128].double(), known.mean(0), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(fitted.fusion.sd[:128].double(), known.std(0, correction=0), rtol=1e-3, atol=1e-6)
    z = torch.cat(fitted.fusion.z_scored(f, b), dim=1)
    assert torch.isfinite(z).all() and not z[f.isnan().any(1), :128].any()


@pytest.mark.journey
@pytest.mark.parametrize("rule", ["weight", "adaboost"])
def test_decisions_are_weighted_by_errors_on_validation_trials(store, rule):
    fitted, y = fit("decision-fusion", store, rule=rule)
    rows = np.arange(60, 90)
    face, signals = (branch.predict_proba(store, rows) for branch in fitted.branches.values())
    trials = store.windows["recording"].to_numpy()[rows]
    means = [np.array([p[trials == t].mean() for t in dict.fromkeys(trials)]) for p in (face, signals)]
    labels = np.array([y[rows][trials == t][0] for t in dict.fromkeys(trials)])
    expected = (enumerated_weights if rule == "weight" else adaboost_weights)(*means, labels)
    assert fitted.about["weights_face_signals"] == [pytest.approx(expected.tolist())]
    p = fitted.predict_proba(store, rows)
    if rule == "weight":
        assert p == pytest.approx(expected[0] * face + expected[1] * signals)
    else:
        votes = expected[0] * np.where(face >= 0.5, 1, -1) + expected[1] * np.where(signals >= 0.5, 1, -1)
        assert p == pytest.approx(1 / (1 + np.exp(-2 * votes)))
    alone = fitted.predict_proba(store, np.arange(5))  # without a face
    assert alone == pytest.approx(fitted.branches["signals"].predict_proba(store, np.arange(5)))


@pytest.mark.journey
def test_without_validation_rows_both_weights_are_equal(store):
    made = system("decision-fusion")(replace(CONFIG, system="decision-fusion"))
    fitted = made.fit(store, np.arange(60), np.arange(60) % 2)
    assert fitted.about["weights_face_signals"] == [[0.5, 0.5]]


@pytest.mark.parametrize(("option", "value"), [("components", 0), ("components", 65), ("weight", 1.5)])
def test_an_option_out_of_range_is_refused(option, value):
    with pytest.raises(BadConfig, match=f"{option} must be"):
        system("deep-cca")(replace(CONFIG, system="deep-cca", options={option: value}))


@pytest.mark.journey
def test_a_training_without_any_face_is_refused(store):
    y = (store.windows["valence"] >= 5).to_numpy().astype(float)
    with pytest.raises(BadConfig, match="none of 5 training windows has face, which it needs"):
        system("bddae")(replace(CONFIG, system="bddae")).fit(store, np.arange(5), y[:5])


class Damaged(SyntheticStore):
    """A store with a NaN in the signals of its last window."""

    def _gather(self, name, rows, shape, kind, absent):
        arrays = super()._gather(name, rows, shape, kind, absent)
        if name == "signals":
            arrays[rows == len(self.windows) - 1, 0, 0] = np.nan
        return arrays


@pytest.mark.journey
@pytest.mark.parametrize("name", ["bddae", "decision-fusion"])
def test_a_damaged_window_is_not_taken_for_one_without_signals(store, name):
    fitted, _ = fit(name, store)
    damaged = Damaged(store.content)
    with pytest.raises(
        BadStore, match=r"finite signals in every window, found NaN .* in 1 of 5, first in s04_trial06 at 4 s"
    ):
        fitted.predict_proba(damaged, np.arange(115, 120))
