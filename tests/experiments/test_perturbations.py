"""The perturbations change what they say and nothing else, and the store itself stays unchanged."""

import numpy as np
import pytest

from gbvnet.experiments.perturbations import PerturbedSource, add_noise, paint_patch, swap_channel

from ..informative_store import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("informative") / "store", subjects=8, frames=1)


@pytest.mark.journey
def test_full_noise_is_of_the_training_level_and_leaves_nothing_of_the_signals(store):
    rows = np.arange(60)
    mean, sd = np.full(9, 100.0), np.full(9, 10.0)
    for share in (0.0, 0.5, 1.0):
        x = store.read(rows)[2]
        noisy = PerturbedSource(store, add_noise("signals", share, 0, (mean, sd))).read(rows)[2]
        z, w = ((a - 100) / 10 for a in (x, noisy))
        kept = (z * w).mean() / (z * z).mean()  # the part of x that is left, as an amplitude
        assert kept == pytest.approx((1 - share) ** 0.5, abs=0.03)
        assert (w**2).mean() == pytest.approx((1 - share) * (z**2).mean() + share, rel=0.05)
        one = PerturbedSource(store, add_noise("signals", share, 0, (mean, sd))).read(rows[7:8])[2]
        np.testing.assert_array_equal(one[0], noisy[7])  # whatever is read beside it
    faces = PerturbedSource(store, add_noise("face", 0.0, 0, None)).read(rows)[0]
    np.testing.assert_array_equal(faces, store.read(rows)[0])
    faces = PerturbedSource(store, add_noise("face", 1.0, 0, None)).read(rows)[0].astype(float) / 255
    assert faces.mean(axis=(0, 1, 2, 3)) == pytest.approx([0.485, 0.456, 0.406], abs=0.05)


def test_a_patch_ispaint_patch_with_the_mean_colour_of_the_good_frames_in_all_frames():
    faces = np.zeros((1, 3, 4, 4, 3), np.uint8)
    faces[0, 0], faces[0, 1], faces[0, 2] = 100, 200, 7  # the last is no good
    ok = np.array([[True, True, False]])
    painted = paint_patch(slice(0, 2), slice(2, 4))(np.array([0]), (faces.copy(), ok, None))[0]
    assert (painted[0, :, :2, 2:] == 150).all()
    painted[0, :, :2, 2:] = faces[0, :, :2, 2:]
    np.testing.assert_array_equal(painted, faces)


@pytest.mark.journey
def test_aswap_channel_channel_shows_the_donors_samples_and_the_others_their_own(store):
    donor = np.arange(len(store))
    donor[[3, 5]] = [5, 3]
    own, swapped = store.read([3, 5, 8])[2], PerturbedSource(store, swap_channel(store, donor, 4)).read([3, 5, 8])[2]
    np.testing.assert_array_equal(swapped[:, 4], own[[1, 0, 2], 4])
    np.testing.assert_array_equal(np.delete(swapped, 4, axis=1), np.delete(own, 4, axis=1))


@pytest.mark.journey
def test_what_is_read_is_changed_and_the_store_is_not(store):
    def blank(rows, arrays):
        faces, ok, signals = arrays
        return faces, ok, signals * 0

    rows = np.array([3, 1])
    altered = PerturbedSource(store, blank)
    assert not altered.read(rows)[2].any()
    assert np.array_equal(altered.read(rows)[0], store.read(rows)[0])
    assert store.read(rows)[2].any()
    without = PerturbedSource(store, lambda rows, arrays: arrays, without="face")
    assert not without.windows["has_face"].any()
    assert store.windows["has_face"].all()
    assert not without.read(rows)[1].any()
