"""Hidden rows cannot be read, and whatever looks for windows in the tables does not meet them."""

import numpy as np
import pytest

from gbvnet.errors import GbvnetError
from gbvnet.store.channels import statistics, subject_scale
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.hidden_rows import HiddenRows
from gbvnet.systems.features.band_power import LOG_POWER
from gbvnet.systems.features.extract import extract_features

from ..synthetic_store import write_store

SHOWN = np.r_[0:20, 30:45]  # of 4 subjects with 30 windows each


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("hidden") / "store")


def test_hidden_rows_and_recordings_cannot_be_read(store):
    source = HiddenRows(store, SHOWN)
    for whole, part in zip(store.read(SHOWN), source.read(SHOWN), strict=True):
        np.testing.assert_array_equal(whole, part)
    for read in (source.read, source.expression, source.face_ok):
        with pytest.raises(GbvnetError, match=r"row 20 \(recording s01_trial05, window 0\)"):
            read([0, 20])
    assert source.baseline("s01_trial01") is not None
    for read in (source.baseline, lambda name: source.trace(name, "valence")):
        with pytest.raises(GbvnetError, match="recording s04_trial01"):
            read("s04_trial01")


def test_the_table_has_no_label_and_no_modality_of_hidden_rows(store):
    table = HiddenRows(store, SHOWN).windows
    hidden = np.setdiff1d(np.arange(len(store)), SHOWN)
    assert table.loc[hidden, ["valence", "arousal"]].isna().all(axis=None)
    assert not table.loc[hidden, ["has_face", "has_signals"]].any(axis=None)
    names = ["recording", "subject", "trial", "stimulus", "window", "start_s"]
    assert table[names].equals(store.windows[names])
    assert table.loc[SHOWN].equals(store.windows.loc[SHOWN])
    assert store.windows["valence"].notna().all()  # of the store nothing is changed


def test_normalisation_by_subject_takes_the_windows_that_are_not_hidden(store):
    channels = range(len(store.settings["channels"]))
    scale = subject_scale(HiddenRows(store, SHOWN), channels, np.array(["s01", "s02"]))
    for subject, rows in (("s01", np.arange(20)), ("s02", np.arange(30, 45))):
        np.testing.assert_allclose(scale[subject], statistics(store, rows, channels))


def test_features_come_from_the_cache_for_rows_that_are_not_hidden(tmp_path, store):
    cached = FeatureCache(write_store(tmp_path / "store"))
    features = extract_features(HiddenRows(cached, SHOWN), SHOWN, [0, 2], LOG_POWER)
    assert list(cached.folder.iterdir())
    np.testing.assert_array_equal(features, extract_features(store, SHOWN, [0, 2], LOG_POWER))
    with pytest.raises(GbvnetError, match=r"row 25 \(recording s01_trial06"):
        extract_features(HiddenRows(cached, SHOWN), np.array([25]), [0], LOG_POWER)
