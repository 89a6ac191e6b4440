"""An explanation of a run on features of faces: the groups of features that were planted rank first."""

from dataclasses import replace

import numpy as np
import pytest

from gbvnet.config import CrossvalConfig, ExplainConfig, ModelConfig, TrainConfig
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.explain import explain_run
from gbvnet.experiments.perturbations import PerturbedSource, add_noise, swap_features
from gbvnet.preprocessing.face_features import MEDIAPIPE_FEATURES, feature_groups
from gbvnet.report.explanation_section import read_explanation
from gbvnet.report.report import write_report

from ..synthetic_store import write_store

pytestmark = [pytest.mark.journey, pytest.mark.usefixtures("one_core")]
CONFIG = CrossvalConfig(
    target="valence",
    folds=2,
    model=ModelConfig(variant="micro", face_input="features"),
    train=TrainConfig(epochs=8, batch_size=16, device="cpu", select="last"),
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("features") / "store", missing={(1, 2): "face"}.items(), kept="features")


def test_the_parts_of_the_face_that_were_planted_rank_first(store, tmp_path):
    cross_validate(store, tmp_path / "run", CONFIG)
    explain_run(store, tmp_path / "run", ExplainConfig(windows=60))
    explanation = read_explanation(tmp_path / "run")
    assert explanation.saliency is None and explanation.face is None
    assert not (tmp_path / "run/explain/face.png").exists()
    change = explanation.features.groupby("channel")["logit_change"].mean().sort_values(ascending=False)
    assert set(change.index) == {*feature_groups(MEDIAPIPE_FEATURES)}
    assert set(change.index[:2]) == {"mouth", "head"}
    robustness = explanation.robustness.query("modality == 'face'").groupby(["how", "noise"], dropna=False)
    assert set(robustness["how"].first().index.get_level_values(0)) == {"noise", "removed"}
    write_report([tmp_path / "run"], tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text()
    assert "Features of the face" in text and "The system sees no pictures" in text
    assert [*(tmp_path / "report/figures").glob("*face_features*")]


def test_the_plain_baseline_is_explained_by_its_features_too(store, tmp_path):
    cross_validate(store, tmp_path / "run", replace(CONFIG, system="expression", modality="face"))
    explain_run(store, tmp_path / "run", ExplainConfig(windows=40))
    change = read_explanation(tmp_path / "run").features.groupby("channel")["logit_change"].mean()
    assert change.idxmax() == "mouth" and change["head"] == 0  # it sees the expression alone


def test_swapped_features_are_the_donor_s_and_no_mask_changes(store):
    rows = np.flatnonzero(store.windows["has_face"])[:20]
    donor = np.arange(len(store))
    donor[rows] = rows[::-1]
    places = feature_groups(MEDIAPIPE_FEATURES)["mouth"]
    source = PerturbedSource(store, swap_features(store, donor, places))
    others = [k for k in range(58) if k not in places]
    before, after = store.face_features(rows), source.face_features(rows)
    assert np.array_equal(after[..., others], before[..., others])
    assert np.array_equal(after[..., places], before[::-1][..., places])
    assert np.array_equal(source.expression(rows), after[..., :52])
    without = np.flatnonzero(~store.windows["has_face"])
    assert np.isnan(source.face_features(without)).all()
    assert np.isnan(PerturbedSource(store, lambda rows, arrays: arrays, "face").face_features(rows)).all()


def test_noise_of_features_keeps_their_scale(store):
    rows = np.flatnonzero(store.windows["has_face"])
    x = store.face_features(rows).astype(np.float64)
    mean, sd = x.mean(axis=(0, 1)), x.std(axis=(0, 1))
    for share in (0.0, 0.5, 1.0):
        noisy = PerturbedSource(store, add_noise("face", share, 0, (mean, sd))).face_features(rows)
        assert noisy.mean(axis=(0, 1)) == pytest.approx(mean, abs=0.05) and noisy.std(axis=(0, 1)) == pytest.approx(
            sd, rel=0.25
        )
        if share == 0:
            assert noisy == pytest.approx(x, abs=1e-6)
        if share == 1:
            assert np.ptp(noisy, axis=1) == pytest.approx(0, abs=1e-6)  # the same in all frames
