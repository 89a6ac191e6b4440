"""Windows in the hands of MNE and torch: the same values, in their units, and what is refused."""

import mne
import numpy as np
import pytest
from torch.utils.data import DataLoader

import gbvnet
from gbvnet.errors import BadConfig, GbvnetError
from gbvnet.store.interop import WindowDataset, to_mne_epochs
from gbvnet.store.joined import JoinedStore
from gbvnet.store.subset import StoreSubset

from ..synthetic_store import CHANNELS, FRAMES, SAMPLES, SIDE, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("interop") / "s", missing={(1, 2): "signals"}.items())


@pytest.mark.journey
def test_epochs_hold_the_windows_in_mnes_units(store):
    epochs = to_mne_epochs(store, "s02_trial03")
    rows = store.windows.query("recording == 's02_trial03'")
    held = store.read(rows.index.to_numpy(), faces=False)[2]
    assert isinstance(epochs, mne.EpochsArray) and len(epochs) == len(rows) == 5
    assert epochs.info["sfreq"] == SAMPLES and epochs.ch_names == [name for name, _ in CHANNELS]
    assert epochs.get_channel_types() == ["eeg", "eeg", "eeg", "gsr", "resp"]
    assert epochs.get_data(picks=["Cz"])[:, 0] == pytest.approx(held[:, 1] * 1e-6)
    assert epochs.get_data(picks=["GSR1"])[:, 0] == pytest.approx(held[:, 3] * 1e-6)
    assert epochs.get_data(picks=["Resp"])[:, 0] == pytest.approx(held[:, 4])
    assert epochs.events[:, 0].tolist() == [0, 32, 64, 96, 128] and epochs.tmin == 0
    assert epochs.metadata["valence"].tolist() == rows["valence"].tolist()
    assert epochs.compute_psd(verbose="error").get_data().shape[:2] == (5, 3)  # MNE's own work on them


@pytest.mark.journey
def test_recordings_without_signals_are_refused(store):
    with pytest.raises(BadConfig, match="has no recording s09_trial01"):
        to_mne_epochs(store, "s09_trial01")
    with pytest.raises(BadConfig, match="s01_trial02 has no signals"):
        to_mne_epochs(store, "s01_trial02")
    with pytest.raises(BadConfig, match="has two recordings s01_trial01: convert each store alone"):
        JoinedStore(store, store).to_mne_epochs("s01_trial01")


@pytest.mark.journey
@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_of_torch_gives_the_windows_in_order(store, workers):
    rows = np.array([7, 40, 3, 41])
    data = gbvnet.WindowDataset(store, rows, y=[0, 1, 2, 3])
    batches = list(DataLoader(data, batch_size=2, num_workers=workers))
    faces, ok, signals = store.read(rows)
    assert len(data) == 4 and [batch["y"].tolist() for batch in batches] == [[0, 1], [2, 3]]
    assert [batch["row"].tolist() for batch in batches] == [[7, 40], [3, 41]]
    assert batches[0]["faces"].shape == (2, FRAMES, 3, SIDE, SIDE)
    assert np.array_equal(np.concatenate([b["signals"] for b in batches]), signals)
    assert np.concatenate([b["faces"] for b in batches]) == pytest.approx(
        faces.transpose(0, 1, 4, 2, 3) / 255, abs=1e-6
    )
    assert np.array_equal(np.concatenate([b["face_ok"] for b in batches]), ok)


def test_a_store_converts_its_windows_itself(store):
    batch = next(iter(DataLoader(store.torch_dataset([7, 3], y=[1, 0], modality="bio"), batch_size=2)))
    assert set(batch) == {"row", "signals", "y"} and batch["row"].tolist() == [7, 3] and batch["y"].tolist() == [1, 0]
    assert np.array_equal(batch["signals"], store.read([7, 3], faces=False)[2])
    assert np.array_equal(store.to_mne_epochs("s02_trial03").get_data(), to_mne_epochs(store, "s02_trial03").get_data())
    rows = np.array([40, 7, 7])
    arrays = store.to_numpy(rows)
    assert all(np.array_equal(a, b) for a, b in zip(arrays[:3], store.read(rows), strict=True))
    assert arrays.signals.shape == (3, len(CHANNELS), SAMPLES) and arrays.faces.shape == (3, FRAMES, SIDE, SIDE, 3)
    assert arrays.windows.index.tolist() == [40, 7, 7]
    assert arrays.windows["recording"].tolist() == store.windows["recording"].iloc[rows].tolist()


def test_a_part_of_a_store_converts_what_it_has(store):
    part = StoreSubset(store, [3, 0], 1)
    assert part.to_numpy([0]).faces.shape == (1, 1, SIDE, SIDE, 3)
    assert part.torch_dataset([0])[0]["signals"].shape == (2, SAMPLES)
    assert part.to_mne_epochs("s02_trial03").ch_names == ["GSR1", "Fz"]
    with pytest.raises(BadConfig, match="modality face needs faces"):
        StoreSubset(store, [0], 0).torch_dataset([0], modality="face")


def test_a_mask_is_no_row_numbers(store):
    with pytest.raises(GbvnetError, match=r"expected row numbers, found a mask; give np\.flatnonzero\(mask\)"):
        store.to_numpy(store.windows["subject"] == "s01")


def test_an_item_has_the_channels_of_its_modality(store):
    assert set(WindowDataset(store, [0], modality="face")[0]) == {"row", "faces", "face_ok"}
    one = WindowDataset(store, [0], modality="peri")[0]
    assert set(one) == {"row", "signals"}
    assert np.array_equal(one["signals"], store.read([0], faces=False)[2][0][3:])


def test_wrong_rows_and_labels_are_refused(store):
    with pytest.raises(GbvnetError, match="rows 0 to 119 exist"):
        WindowDataset(store, [120])
    with pytest.raises(BadConfig, match="3 labels for 2 rows"):
        WindowDataset(store, [0, 1], y=[0, 1, 1])
    with pytest.raises(IndexError):
        WindowDataset(store, [0, 1])[2]


def test_an_item_of_a_source_without_pictures_has_its_features(tmp_path):
    source = write_store(tmp_path / "s", subjects=1, trials=2, kept="features")
    item = WindowDataset(source, [3], modality="face")[0]
    assert set(item) == {"row", "face_features", "face_ok"}
    assert item["face_features"].shape == (FRAMES, 58)
    assert np.array_equal(item["face_features"], source.face_features([3])[0])
