"""Whatever windows are read from behaves alike: a store, a part of one, two joined, one read in another way."""

import importlib
import inspect
import pickle
import pkgutil

import numpy as np
import pandas as pd
import pytest

import gbvnet
from gbvnet.config import PrepareConfig
from gbvnet.errors import BadConfig, GbvnetError
from gbvnet.experiments.perturbations import PerturbedSource
from gbvnet.preprocessing.face_features import EXPRESSIONS, MEDIAPIPE_FEATURES
from gbvnet.store.dry_run import DryRunStore
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.joined import JoinedStore
from gbvnet.store.reader import Store
from gbvnet.store.rebaselined import Rebaselined
from gbvnet.store.row_view import RowView
from gbvnet.store.subset import StoreSubset
from gbvnet.store.window_source import DerivedSource, WindowSource
from gbvnet.testing.synthetic_store import SyntheticStore, SyntheticWindows
from gbvnet.testing.watched_sources import AlteredSource, ObservedSource

from ..synthetic_store import write_store

MISSING = {(1, 2): "face", (2, 1): "signals"}


def halve(rows, arrays):
    """Something that changes what is read, and needs no system."""
    faces, ok, signals = arrays
    return faces, ok, None if signals is None else signals / 2


def dry_run_settings(store):
    """As the store, with pictures or features of faces."""
    return PrepareConfig(face_side=32, frames_per_window=3, store_faces="pixels" if store.has_pixels else "features")


KINDS = {
    Store: lambda store, other: store,
    DerivedSource: lambda store, other: DerivedSource(store),
    StoreSubset: lambda store, other: StoreSubset(store, [2, 0], 1),
    JoinedStore: lambda store, other: JoinedStore(store, other),
    Rebaselined: lambda store, other: Rebaselined(store, "none"),
    FeatureCache: lambda store, other: FeatureCache(store),
    RowView: lambda store, other: RowView(store, range(len(store))),
    DryRunStore: lambda store, other: DryRunStore("deap:2x3x4", dry_run_settings(store)),
    SyntheticStore: lambda store, other: SyntheticStore(
        SyntheticWindows(missing=tuple(MISSING.items()), kept="pixels" if store.has_pixels else "features")
    ),
    ObservedSource: lambda store, other: ObservedSource(store),
    AlteredSource: lambda store, other: AlteredSource(store, [0, 5]),
    PerturbedSource: lambda store, other: PerturbedSource(store, halve),
}


def every_kind() -> set[type]:
    """All classes of the package that are sources of windows."""
    for module in pkgutil.walk_packages(gbvnet.__path__, "gbvnet."):
        if module.name.startswith(("gbvnet.store.", "gbvnet.experiments.", "gbvnet.testing.")):
            importlib.import_module(module.name)
    kinds, new = set(), {WindowSource}
    while new:
        new = {kind for each in new for kind in each.__subclasses__() if kind.__module__.startswith("gbvnet.")} - kinds
        kinds |= new
    return {kind for kind in kinds if not inspect.isabstract(kind)}


@pytest.fixture(scope="module")
def stores_of(tmp_path_factory):
    """Two stores with pictures of faces, and two with features alone, by what is kept of a face."""
    folder = tmp_path_factory.mktemp("sources")
    return {
        kept: (
            write_store(folder / f"one-{kept}", subjects=3, trials=3, windows=4, missing=MISSING.items(), kept=kept),
            write_store(folder / f"two-{kept}", subjects=2, trials=2, windows=4, seed=1, kept=kept),
        )
        for kept in ("pixels", "features")
    }


@pytest.fixture
def stores(stores_of):
    return stores_of["pixels"]


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def source(request, stores):
    return KINDS[request.param](*stores)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def without_pixels(request, stores_of):
    return KINDS[request.param](*stores_of["features"])


def test_every_kind_is_tested_here():
    assert every_kind() == set(KINDS)


@pytest.mark.journey
def test_a_source_gives_its_windows_to_other_libraries(source):
    rows = [1, 0]
    arrays, item = source.to_numpy(rows), source.torch_dataset(rows, modality="eeg")[0]
    assert all(np.array_equal(a, b) for a, b in zip(arrays[:3], source.read(rows), strict=True))
    assert arrays.windows.equals(source.windows.iloc[rows])
    assert item["row"] == 1 and item["signals"].shape[1] == arrays.signals.shape[2]
    recording = source.windows["recording"].value_counts().idxmin()  # two joined stores may have one name twice
    assert len(source.to_mne_epochs(recording)) == (source.windows["recording"] == recording).sum()


@pytest.mark.journey
def test_a_source_says_how_its_windows_were_made(source):
    assert len(source) == len(source.windows) > 0
    assert {"recording", "subject", "trial", "stimulus", "window", "start_s"} <= set(source.windows)
    assert set(source.windows["recording"]) <= set(source.recordings["recording"])
    assert source.windows.index.tolist() == list(range(len(source)))
    assert source.title.startswith(source.settings["dataset"])
    assert source.has("face") == bool(source.windows["has_face"].any())
    assert isinstance(source.synthetic, bool) and len(source.digest) == 16
    assert type(source).__name__ in repr(source)


@pytest.mark.journey
def test_windows_have_the_shapes_of_the_settings(source):
    s, rows = source.settings, [5, 0, 7]
    faces, ok, signals = source.read(rows)
    assert faces.shape == (3, s["frames_per_window"], s["face_side"], s["face_side"], 3) and faces.dtype == np.uint8
    assert ok.shape == faces.shape[:2] and ok.dtype == bool
    assert signals.shape == (3, len(s["channels"]), s["samples_per_window"]) and signals.dtype == np.float32
    assert np.array_equal(source.face_ok(rows), ok)
    assert source.read(rows, faces=False)[:2] == (None, None)
    assert source.read(rows, signals=False)[2] is None
    assert source.read([])[0].shape == (0, *faces.shape[1:])


@pytest.mark.journey
def test_rows_come_in_the_order_wanted_and_those_that_do_not_exist_are_refused(source):
    if isinstance(source, DryRunStore):
        return  # its reads are noise
    rows = np.random.default_rng(0).integers(0, len(source), 30)
    together = source.read(rows)
    for i, row in enumerate(rows):
        for array, one in zip(together, source.read([row]), strict=True):
            assert np.array_equal(array[i], one[0])


@pytest.mark.journey
@pytest.mark.parametrize("read", ["read", "face_ok"])
def test_rows_that_do_not_exist_are_refused(source, read):
    last = len(source) - 1
    with pytest.raises(GbvnetError, match=rf"rows 0 to {last} exist, not 2 to {last + 1}"):
        getattr(source, read)([2, last + 1])


@pytest.mark.journey
def test_a_window_without_a_modality_has_zeros(source):
    faces, ok, signals = source.read(np.arange(len(source)))
    without = {name: ~source.windows[name].to_numpy(bool) for name in ("has_face", "has_signals")}
    assert not faces[without["has_face"]].any() and not ok[without["has_face"]].any()
    assert not signals[without["has_signals"]].any()
    assert ok[~without["has_face"]].any(axis=1).all()


@pytest.mark.journey
def test_expressions_are_of_good_frames_or_refused(source):
    if isinstance(source, PerturbedSource):
        with pytest.raises(GbvnetError, match="expression coefficients"):
            source.expression([0])
        return
    coefficients = source.expression([5, 0, 7])
    assert coefficients.shape == (3, source.settings["frames_per_window"], 52) and coefficients.dtype == np.float32


@pytest.mark.journey
def test_a_source_of_features_has_no_pictures_and_says_so(without_pixels):
    source, rows = without_pixels, [5, 0, 7]
    faces, ok, signals = source.read(rows)
    assert faces is None and not source.has_pixels and source.has("face") and source.settings["face_side"] == 0
    assert ok.shape == (3, source.settings["frames_per_window"]) and np.array_equal(source.face_ok(rows), ok)
    assert signals.shape == (3, len(source.settings["channels"]), source.settings["samples_per_window"])
    assert source.read(rows, faces=False)[:2] == (None, None) and source.read(rows, signals=False)[2] is None
    assert source.read([])[1].shape == (0, source.settings["frames_per_window"])


@pytest.mark.journey
def test_features_are_named_and_missing_where_there_is_no_face(without_pixels):
    check_features(without_pixels, MEDIAPIPE_FEATURES)


@pytest.mark.journey
def test_expressions_beside_pictures_are_features_too(source):
    check_features(source, EXPRESSIONS)


def check_features(source, names):
    assert source.face_feature_names == names
    rows = np.arange(len(source))
    features = source.face_features(rows)
    assert features.shape == (len(source), source.settings["frames_per_window"], len(names))
    assert features.dtype == np.float32 and source.face_features([]).shape == (0, *features.shape[1:])
    assert np.array_equal(np.isfinite(features).all(axis=2), source.face_ok(rows))
    assert np.isnan(features[~source.face_ok(rows)]).all()
    if not isinstance(source, DryRunStore):
        assert np.array_equal(source.face_features([7, 2]), features[[7, 2]], equal_nan=True)
    with pytest.raises(GbvnetError, match=rf"rows 0 to {len(source) - 1} exist"):
        source.face_features([len(source)])


@pytest.mark.journey
def test_a_source_without_a_further_modality_says_so(source):
    assert source.modalities == {}
    with pytest.raises(BadConfig, match="expected a further modality sound, found none; `gbvnet modality add` adds"):
        source.modality("sound", [0])


@pytest.mark.journey
def test_a_baseline_is_that_of_its_recording(source):
    for name in source.windows["recording"].unique()[:4]:
        before = source.baseline(name)
        assert before is None or (before.shape[0] == len(source.settings["channels"]) and before.dtype == np.float32)
    if not isinstance(source, DryRunStore):
        assert source.baseline(source.windows["recording"].iloc[0]) is not None


@pytest.mark.journey
def test_a_source_declares_its_label_columns(source):
    assert {"valence", "arousal"} <= set(source.labels) <= set(source.windows)
    for name, column in source.labels.items():
        assert column.name == name
        values = source.windows[name].dropna()
        assert all(column.allows(value) for value in values[values != ""].unique())
        assert source.trace(source.windows["recording"].iloc[0], name) is None  # none changes in time here


@pytest.mark.journey
def test_a_source_crosses_to_another_process_without_its_tables(source):
    if isinstance(source, PerturbedSource):
        return  # it is used in one process only
    sent = pickle.dumps(source)
    there = pickle.loads(sent)
    assert len(sent) < 2000 and type(there) is type(source)
    assert there.digest == source.digest
    pd.testing.assert_frame_equal(there.windows, source.windows)
    if not isinstance(source, DryRunStore):
        assert all(np.array_equal(a, b) for a, b in zip(there.read([3, 1]), source.read([3, 1]), strict=True))


@pytest.mark.journey
def test_reading_changes_neither_the_source_nor_the_store_below(source, stores):
    before = [array.copy() for array in stores[0].read([0, 1])], stores[0].digest, dict(stores[0].settings)
    first = source.read([0, 1])
    for array in first:
        array[:] = 0
    again = stores[0].read([0, 1])
    assert all(np.array_equal(a, b) for a, b in zip(again, before[0], strict=True))
    assert (stores[0].digest, stores[0].settings) == before[1:]


def test_a_part_read_as_a_part_has_the_digest_of_the_whole_and_another_baseline_has_its_own(stores):
    store, other = stores
    assert (
        StoreSubset(store, [0], 1).digest == FeatureCache(store).digest == DerivedSource(store).digest == store.digest
    )
    assert len({store.digest, other.digest, Rebaselined(store, "none").digest, JoinedStore(store, other).digest}) == 4


def test_sources_can_be_derived_from_one_another(stores):
    store, other = stores
    joined = JoinedStore(StoreSubset(FeatureCache(store), [1, 2], 2), StoreSubset(other, [1, 2], 2))
    assert np.array_equal(joined.read([len(store)])[2], other.read([0])[2][:, 1:3])
    corrected = Rebaselined(joined, "none").read([0])[2]
    assert np.array_equal(corrected, Rebaselined(store, "none").read([0])[2][:, 1:3])
