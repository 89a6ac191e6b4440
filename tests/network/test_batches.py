"""Batches hold the rows asked for, whether kept in memory or read."""

import numpy as np
import pytest
import torch

from gbvnet.network.batches import GIB, Windows
from gbvnet.store.channels import channels_of

from ..synthetic_store import write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(
        tmp_path_factory.mktemp("batches") / "store", missing={(1, 2): "face", (2, 1): "signals"}.items()
    )


@pytest.mark.journey
@pytest.mark.parametrize("memory_gib", [1.0, 0.0])
@pytest.mark.parametrize("modality", ["facebio", "face", "bio", "eeg", "faceperi"])
def test_batches_hold_the_requested_rows(store, modality, memory_gib):
    rows = np.array([7, 3, 30, 55, 6, 31])
    y = np.arange(6)[:, None] % 2
    faces, face_ok, signals = store.read(rows)
    windows = Windows(store, rows, modality, y, memory_gib=memory_gib)
    assert (windows.kept is not None) == (memory_gib > 0)
    orders = [np.array([5, 0]), np.array([2]), np.array([1, 3, 4])]
    for order, batch in zip(orders, windows.batches(orders), strict=True):
        assert batch.y.tolist() == y[order].tolist()
        if "face" in modality:
            assert batch.faces.numpy().tobytes() == faces[order].tobytes()
            assert (batch.face_ok is None and face_ok.all()) or batch.face_ok.tolist() == face_ok[order].tolist()
        else:
            assert batch.faces is None
        if modality != "face":
            assert batch.signals.numpy().tobytes() == signals[order][:, channels_of(store, modality)].tobytes()
        else:
            assert batch.signals is None


def test_a_mask_is_there_only_where_something_is_missing(store):
    lacking = store.windows.index[~store.windows["has_face"]][0]
    some = next(Windows(store, [0, lacking], "facebio").in_order(2))
    assert some.has_face.tolist() == [True, False]
    assert some.has_signals is None
    assert next(Windows(store, [0, 1], "facebio").in_order(2)).has_face is None


def test_what_windows_take_in_memory_is_known_before_they_are_read(store):
    windows = Windows(store, np.arange(20), "facebio", memory_gib=1.0)
    kept = sum(t.numel() * t.element_size() for t in windows.kept if t is not None)
    assert windows.nbytes - 20 * 2 <= kept <= windows.nbytes  # face_ok, 2 bytes a window, is dropped if all are good
    limit = windows.nbytes / GIB
    assert Windows(store, np.arange(20), "facebio", memory_gib=limit).kept is not None
    assert Windows(store, np.arange(21), "facebio", memory_gib=limit).kept is None


def test_normalising_within_a_subject_gives_each_of_them_mean_0_and_sd_1(store):
    whole = store.windows.index[store.windows["has_signals"]]
    windows = Windows(store, whole, "bio", per_subject=True)
    x = torch.cat([b.signals for b in windows.in_order(32)]).numpy()
    for subject in set(windows.subject):
        mine = x[windows.subject == subject]
        assert mine.mean(axis=(0, 2)) == pytest.approx(np.zeros(5), abs=1e-4)
        assert mine.std(axis=(0, 2)) == pytest.approx(np.ones(5), rel=1e-4)
    assert windows.signal_statistics()[0].tolist() == [0.0] * 5


def test_leaving_a_reading_early_leaves_no_thread_behind(store):
    import threading

    batches = Windows(store, np.arange(30), "bio").in_order(3)
    next(batches)
    batches.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("read-ahead") and t.is_alive()]
