"""Features are computed once, survive a kill, and are never those of another store or of a damaged file."""

import numpy as np
import pytest

from gbvnet.errors import BadStore
from gbvnet.store import feature_cache as remembering
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.reader import open_store
from gbvnet.systems.features.extract import Extractor, extract_features

from ..synthetic_store import write_store


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(remembering, "SLICE", 50)  # of 120 rows: three files
    return FeatureCache(write_store(tmp_path / "store"))


class Counting:
    def __init__(self):
        self.rows = 0

    def __call__(self, x, rate_hz):
        self.rows += len(x)
        return np.stack([x.mean(axis=2), x.std(axis=2)], axis=2)


@pytest.mark.journey
def test_what_is_remembered_is_what_is_computed_and_computed_once(store):
    of = Counting()
    rows = np.array([119, 3, 70, 3])
    plain = extract_features(open_store(store.path), rows, [2, 0], Extractor("moments", of))
    assert of.rows == 4
    kept = extract_features(store, rows, [2, 0], Extractor("moments", of))
    assert kept.shape == (4, 2, 2)
    assert kept.dtype == np.float32
    assert np.array_equal(kept, plain)
    assert of.rows == 4 + 120
    again = extract_features(FeatureCache(store), np.arange(120), [0, 1], Extractor("moments", of))
    assert np.array_equal(again[3, 0], kept[1, 1])
    assert of.rows == 4 + 120
    extract_features(store, rows, [0], Extractor("moments", of, version=2))
    assert of.rows == 4 + 240


@pytest.mark.journey
def test_a_computation_that_was_cut_off_goes_on(store):
    class Dies(Counting):
        def __call__(self, x, rate_hz):
            if self.rows >= 50:
                raise KeyboardInterrupt
            return super().__call__(x, rate_hz)

    with pytest.raises(KeyboardInterrupt):
        extract_features(store, np.arange(3), [0], Extractor("moments", Dies()))
    of = Counting()
    kept = extract_features(store, np.arange(120), [0], Extractor("moments", of))
    assert of.rows == 70
    plain = extract_features(open_store(store.path), np.arange(120), [0], Extractor("moments", of))
    assert np.array_equal(kept, plain)


@pytest.mark.journey
def test_a_damaged_cache_is_reported_and_the_store_is_untouched(store):
    before = sorted(f.name for f in store.path.iterdir())
    extract_features(store, np.arange(3), [0], Extractor("moments", Counting()))
    assert sorted(f.name for f in store.path.iterdir()) == before
    file = next(store.folder.glob("moments-v1-*/000050.npy"))
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(BadStore, match=r"000050\.npy: expected features of this store.*Delete it"):
        extract_features(store, np.arange(60), [0], Extractor("moments", Counting()))


@pytest.mark.journey
def test_another_store_at_the_same_place_has_its_own_memory(tmp_path):
    for seed in (0, 1):
        store = FeatureCache(write_store(tmp_path / f"{seed}" / "store", seed=seed))
        store.path.rename(tmp_path / "store") if not (tmp_path / "store").exists() else None
    first = FeatureCache(open_store(tmp_path / "store"))
    one = extract_features(first, np.arange(5), [0], Extractor("moments", Counting()))
    (tmp_path / "store").rename(tmp_path / "gone")
    (tmp_path / "1" / "store").rename(tmp_path / "store")
    two = extract_features(
        FeatureCache(open_store(tmp_path / "store")), np.arange(5), [0], Extractor("moments", Counting())
    )
    assert not np.array_equal(one, two)
