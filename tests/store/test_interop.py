"""Windows in the hands of MNE and torch: the same values, in their units, and what is refused."""

import mne
import numpy as np
import pytest
from torch.utils.data import DataLoader

import gbvnet
from gbvnet.errors import BadConfig, GbvnetError
from gbvnet.store.interop import WindowDataset, to_mne_epochs

from ..synthetic_store import CHANNELS, FRAMES, SAMPLES, SIDE, write_store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("interop") / "s", missing={(1, 2): "signals"}.items())


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


def test_recordings_without_signals_are_refused(store):
    with pytest.raises(BadConfig, match="has no recording s09_trial01"):
        to_mne_epochs(store, "s09_trial01")
    with pytest.raises(BadConfig, match="s01_trial02 has no signals"):
        to_mne_epochs(store, "s01_trial02")


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
