"""What the options of the synthetic store plant."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gbvnet.testing import SyntheticStore, SyntheticWindows

MANY = dict(subjects=4, trials=16, windows=6)


def evidence(store):
    """Of each window the redness of the face and the log amplitude of Cz, and how much the other channels vary."""
    faces, _, signals = store.read(np.arange(len(store)))
    amplitude = np.log(signals.std(axis=2))
    return faces[..., 0].mean(axis=(1, 2, 3)), amplitude[:, 1], amplitude[:, 0], faces[..., 1].std(axis=(1, 2, 3))


@pytest.mark.journey
def test_complementary_evidence_is_the_sum_of_both_and_either_alone_is_right_in_three_trials_of_four():
    store = SyntheticStore(SyntheticWindows(complementary=True, **MANY))
    red, cz, _, _ = evidence(store)
    of_trial = (
        store.windows.assign(red=red - 128, cz=cz - np.log(10)).groupby("recording")[["red", "cz", "valence"]].mean()
    )
    high = of_trial["valence"] > 5
    assert high.mean() == 0.5
    assert [((of_trial[name] > 0) == high).mean() for name in ("red", "cz")] == [0.75, 0.75]
    assert ((of_trial["red"] / 25 + of_trial["cz"] / 0.7 > 0) == high).mean() > 0.98
    assert abs(np.corrcoef(of_trial["red"], of_trial["cz"])[0, 1]) < 0.3


@pytest.mark.journey
def test_a_noisy_modality_shows_its_noise_and_tells_nothing_in_half_of_each_subjects_trials():
    for modality in ("face", "signals"):
        store = SyntheticStore(SyntheticWindows(noisy=modality, **MANY))
        red, cz, other, spread = evidence(store)
        quality, telling, kept = (spread, red, cz) if modality == "face" else (other, cz, red)
        middle = (quality.min() + quality.max()) / 2
        noisy = quality > middle
        share = store.windows.assign(noisy=noisy).groupby("subject")["noisy"].mean()
        assert (share == 0.5).all()
        assert store.windows.assign(noisy=noisy).groupby("recording")["noisy"].nunique().eq(1).all()
        valence = store.windows["valence"]
        assert stats.pointbiserialr(valence[~noisy] > 5, telling[~noisy]).statistic > 0.9
        assert abs(stats.pointbiserialr(valence[noisy] > 5, telling[noisy]).statistic) < 0.3
        assert stats.pointbiserialr(valence > 5, kept).statistic > 0.9


@pytest.mark.journey
def test_the_effect_can_be_in_the_region_of_the_mouth_alone():
    content = SyntheticWindows(frames=1, side=32, effect=2, **MANY)
    whole, mouth = (SyntheticStore(replace(content, effect_region=region)) for region in ("face", "mouth"))
    high = whole.windows["valence"].to_numpy() > 5
    rows = np.arange(len(whole))
    pictures = [store.read(rows)[0][:, 0, :, :, 0].astype(float) for store in (whole, mouth)]
    whole_rise, rise = (of[high].mean(axis=0) - of[~high].mean(axis=0) for of in pictures)
    assert whole_rise.min() > 80
    inside = np.zeros((32, 32), bool)
    inside[20:28, 8:24] = True
    assert rise[inside].min() > 80 and abs(rise[~inside]).max() < 20
    assert all(np.array_equal(a, b) for a, b in zip(whole.read(rows)[1:], mouth.read(rows)[1:], strict=True))
