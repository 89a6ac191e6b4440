"""A view of some rows: what is not given cannot be read, and the labels of it are not there."""

import pickle

import numpy as np
import pytest

from gbvnet.store.channels import statistics, subject_scale
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.row_view import RowNotGiven, RowView, feature_cache_of
from gbvnet.systems.features.band_power import LOG_POWER
from gbvnet.systems.features.extract import extract_features

from ..synthetic_store import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("view") / "store", subjects=2, trials=3, windows=4)


GIVEN = np.array([0, 1, 2, 3, 9])


def test_given_rows_read_as_in_the_source_and_others_raise(store):
    view = RowView(store, GIVEN)
    for one, other in zip(view.read([9, 0]), store.read([9, 0]), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(view.face_ok(GIVEN), store.face_ok(GIVEN))
    for method in (view.read, view.face_ok, view.expression):
        with pytest.raises(RowNotGiven, match=r"row 4 \(recording s01_trial02, window 0\).*2 of 3 rows"):
            method([0, 4, 5])
    assert (len(view), view.digest, view.title) == (len(store), store.digest, store.title)


def test_labels_of_other_rows_are_missing_and_the_source_keeps_its_own(store):
    view = RowView(store, GIVEN)
    for name in ("valence", "arousal"):
        assert view.windows[name].notna().to_numpy().nonzero()[0].tolist() == GIVEN.tolist()
        assert store.windows[name].notna().all()
    assert RowView(store, GIVEN, labelled=False).windows["valence"].isna().all()
    assert view.windows["subject"].equals(store.windows["subject"])


def test_other_rows_have_no_modality_and_names_stay(store):
    table = RowView(store, GIVEN).windows
    others = np.setdiff1d(np.arange(len(store)), GIVEN)
    assert not table.loc[others, ["has_face", "has_signals"]].any(axis=None)
    names = ["recording", "subject", "trial", "stimulus", "window", "start_s"]
    assert table[names].equals(store.windows[names]) and table.loc[GIVEN].equals(store.windows.loc[GIVEN])


def test_normalisation_by_subject_takes_the_windows_that_are_given(store):
    channels = range(len(store.settings["channels"]))
    scale = subject_scale(RowView(store, GIVEN), channels, np.array(["s01"]))["s01"]
    np.testing.assert_allclose(scale, statistics(store, GIVEN, channels))
    nested = RowView(RowView(store, GIVEN), GIVEN[:2], all_signals=True)  # of a search inside of a training side
    np.testing.assert_allclose(subject_scale(nested, channels, np.array(["s01"]))["s01"], scale)


def test_baselines_are_those_of_given_recordings(store):
    view = RowView(store, [0])
    np.testing.assert_array_equal(view.baseline("s01_trial01"), store.baseline("s01_trial01"))
    with pytest.raises(RowNotGiven, match="recording s02_trial01, of which it was given no row"):
        view.baseline("s02_trial01")
    with pytest.raises(RowNotGiven):
        view.trace("s02_trial01", "joystick")


def test_all_signals_may_be_read_for_normalisation_but_labels_stay_hidden(store):
    view = RowView(store, GIVEN, all_signals=True)
    np.testing.assert_array_equal(view.read([20], faces=False)[2], store.read([20])[2])
    assert view.windows["valence"].notna().sum() == len(GIVEN)
    assert view.windows["has_signals"].all() and view.windows["has_face"].sum() == len(GIVEN)
    for method in (view.read, view.face_ok, view.expression):  # and faces, which are not normalised by subject
        with pytest.raises(RowNotGiven):
            method([20])
    np.testing.assert_array_equal(view.face_ok(GIVEN), store.face_ok(GIVEN))


def test_a_cache_of_features_behind_a_view_is_used_and_rows_are_checked(store):
    cached = FeatureCache(store)
    view = RowView(cached, GIVEN)
    assert feature_cache_of(view) is cached and feature_cache_of(RowView(store, GIVEN)) is None
    np.testing.assert_array_equal(
        extract_features(view, GIVEN, [0, 1], LOG_POWER), extract_features(store, GIVEN, [0, 1], LOG_POWER)
    )
    with pytest.raises(RowNotGiven):
        extract_features(view, np.array([4]), [0, 1], LOG_POWER)


def test_it_crosses_to_another_process(store):
    view = pickle.loads(pickle.dumps(RowView(store, GIVEN, labelled=False)))
    assert view.windows["valence"].isna().all()
    with pytest.raises(RowNotGiven):
        view.read([4])
