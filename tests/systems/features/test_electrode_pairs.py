"""Band powers of electrodes and their differences, against mne's multitaper spectrum on random and on real EEG."""

import json
from pathlib import Path

import mne
import numpy as np
import pytest

from gbvnet.errors import BadConfig
from gbvnet.store.feature_cache import FeatureCache
from gbvnet.store.reader import open_store
from gbvnet.systems.features import electrode_pairs as derivations

from ...synthetic_store import write_store

REAL = Path(__file__).parents[4] / "shared/samples/eeg_ec.txt"  # one channel, 125 Hz


def mnes(x, rate_hz):
    """(n, D, L) -> (n, D, K) by mne, a band at a time."""
    of_each = []
    for low, high in derivations.BANDS_HZ:
        power, _ = mne.time_frequency.psd_array_multitaper(
            x, rate_hz, fmin=low, fmax=high, normalization="length", verbose="ERROR"
        )
        of_each.append(10 * np.log10(power).mean(axis=2))
    return np.stack(of_each, axis=2)


@pytest.mark.parametrize(("length", "rate_hz"), [(128, 128.0), (125, 125.0), (257, 256.0), (384, 128.0)])
def test_band_powers_are_mnes(length, rate_hz):
    x = 10 * np.random.default_rng(0).normal(size=(3, 4, length))
    assert derivations.log_powers(x, rate_hz) == pytest.approx(mnes(x, rate_hz), abs=1e-9)


@pytest.mark.journey
@pytest.mark.skipif(not REAL.exists(), reason="no recorded EEG here")
def test_band_powers_of_recorded_eeg_are_mnes_and_eyes_closed_show_alpha():
    powers = {}
    for name in ("eeg_ec", "eeg_eo"):
        raw = np.loadtxt(REAL.with_name(f"{name}.txt"))
        x = raw[: len(raw) // 125 * 125].reshape(-1, 1, 125).astype(np.float64)
        powers[name] = derivations.log_powers(x, 125.0)
        assert powers[name] == pytest.approx(mnes(x, 125.0), abs=1e-8)
    alpha = {name: p[:, 0, 2].mean() - p[:, 0, 4].mean() for name, p in powers.items()}  # over gamma: gains may differ
    assert alpha["eeg_ec"] > alpha["eeg_eo"]


def test_a_sine_shows_in_its_band_alone_and_its_difference_with_itself_nowhere():
    x = np.sin(2 * np.pi * 20 * np.arange(128) / 128)[None, None]
    powers = derivations.log_powers(np.concatenate([x, x - x], axis=1), 128.0)[0]
    assert powers[0, 3] > powers[0, [0, 1, 2, 4]].max() + 10
    assert powers[1] == pytest.approx(10 * np.log10(derivations.FLOOR))


def renamed(path, names, rate_hz=None):
    """A planted store whose five channels are called otherwise."""
    write_store(path)
    settings = json.loads((path / "store.json").read_text())
    settings["channels"] = [[name, "eeg"] for name in names]
    settings["rate_hz"] = rate_hz or settings["rate_hz"]
    (path / "store.json").write_text(json.dumps(settings))
    return open_store(path)


@pytest.mark.journey
def test_electrodes_are_selected_by_name_and_differences_where_both_sides_are_there(tmp_path):
    store = renamed(tmp_path / "store", ["CP2", "EEG FP1-REF", "Pz", "CP1", "T7"])
    assert derivations.derivations_of(store) == [(1, None), (4, None), (3, None), (0, None), (3, 0)]
    rows = np.array([5, 3])
    x = store.read(rows)[2].astype(np.float64)
    wanted = derivations.log_powers(x[:, [3]] - x[:, [0]], 32.0)  # CP1 - CP2, in the bands below 16 Hz
    assert wanted.shape == (2, 1, 3)
    assert derivations.pair_features(store, rows)[:, -3:] == pytest.approx(wanted[:, 0], abs=1e-3)


@pytest.mark.journey
def test_a_store_that_remembers_gives_the_same(tmp_path):
    store = write_store(tmp_path / "store")
    rows = np.array([7, 0, 119])
    remembered = derivations.pair_features(FeatureCache(store), rows)
    assert np.array_equal(remembered, derivations.pair_features(store, rows))


@pytest.mark.journey
def test_absent_electrodes_and_bands_are_reported(tmp_path):
    with pytest.raises(BadConfig, match=r"none of the electrodes Fp1, .* \(near it: Fpz\); it has Fpz, Pz, A, B, C"):
        derivations.pair_features(renamed(tmp_path / "a", ["Fpz", "Pz", "A", "B", "C"]), np.arange(3))
    with pytest.raises(BadConfig, match="windows of 32 samples at 8 Hz show none of the bands 4-8 Hz, "):
        derivations.pair_features(renamed(tmp_path / "b", ["Cz", "Pz", "A", "B", "C"], rate_hz=8.0), np.arange(3))
