"""Sequences of windows stay in their trial, in order, whatever rows are asked for; and the LSTM that reads them."""

import numpy as np
import pytest
import torch

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig
from gbvnet.store.reader import Store
from gbvnet.systems import system, validate_config
from gbvnet.systems.learners.window_sequences import Cut, Sequences
from gbvnet.systems.mindlink_eumpy import LSTM

from ...synthetic_store import write_store

CUT = Cut(lambda store, rows: np.asarray(rows, np.float32)[:, None], length=10, stride=5)  # a feature: the row itself


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """4 trials of 17 windows: rows 0 to 16, 17 to 33, ..."""
    return write_store(tmp_path_factory.mktemp("long") / "store", subjects=2, trials=2, windows=17)


def rows_of(sequences):
    """The rows of each sequence, as the network is given them."""
    batch = next(iter(sequences.batches([np.arange(len(sequences))])))
    assert batch.signals.shape == (len(sequences), 1, sequences.at.shape[1])
    return batch.signals[:, 0].int().tolist()


def test_training_sequences_begin_at_every_fifth_window_of_a_trial(long):
    rows = np.random.default_rng(0).permutation(np.arange(34))  # two trials, in any order
    y = (rows >= 17).astype(float)[:, None]
    sequences = Sequences(long, rows, CUT, y)
    first = [list(range(0, 10)), list(range(5, 15))]  # the next would need a window 19
    assert sorted(rows_of(sequences)) == [*first, *[[r + 17 for r in s] for s in first]]
    labels = next(iter(sequences.in_order(8))).y[:, 0].tolist()
    assert labels == [float(s[0] >= 17) for s in rows_of(sequences)]


def test_training_sequences_are_of_the_given_rows_alone(long):
    rows = np.delete(np.arange(17), [3, 4])
    assert rows_of(Sequences(long, rows, CUT, np.zeros((15, 1))))[0] == [0, 1, 2, 5, 6, 7, 8, 9, 10, 11]


def test_a_short_trial_is_one_sequence_whose_last_window_is_repeated(long):
    assert rows_of(Sequences(long, np.arange(3), CUT, np.zeros((3, 1)))) == [[0, 1, 2, 2, 2, 2, 2, 2, 2, 2]]


def test_each_window_is_predicted_from_the_sequence_that_ends_with_it_or_else_its_trials_first(long):
    sequences = rows_of(Sequences(long, np.array([33, 20, 9, 10, 0]), CUT))
    assert sequences == [
        list(range(24, 34)),
        list(range(17, 27)),
        list(range(0, 10)),
        list(range(1, 11)),
        list(range(0, 10)),
    ]


def test_windows_without_signals_are_passed_over(tmp_path):
    store = write_store(tmp_path / "s", subjects=1, trials=3, windows=4, missing={(1, 2): "signals"}.items())
    assert rows_of(Sequences(store, np.array([0, 11]), CUT)) == [[0, 1, 2, *[3] * 7], [8, 9, 10, *[11] * 7]]


def test_statistics_are_of_the_rows(long):
    mean, sd = Sequences(long, np.arange(5, 17), CUT, np.zeros((12, 1))).signal_statistics()
    assert mean.tolist() == [10.5]
    assert sd.item() == pytest.approx(np.arange(12).std())


CONFIG = CrossvalConfig(
    system="mindlink-eumpy",
    modality="eeg",
    target="valence",
    train=TrainConfig(epochs=3, batch_size=4, learning_rate=1e-2, device="cpu"),
)


class Corrupted(Store):
    """Some windows' signals are others than they were."""

    corrupted_rows: np.ndarray = np.array([], int)

    def read(self, rows, faces=True, signals=True):
        faces, ok, x = super().read(rows, faces, signals)
        bad = np.isin(rows, self.corrupted_rows)
        x[bad] = np.random.default_rng(0).normal(size=x[bad].shape) * 1e3
        return faces, ok, x


@pytest.mark.journey
def test_a_neighbouring_trial_changes_nothing_and_a_neighbouring_window_does(long):
    y = (long.windows["valence"].to_numpy() > 5).astype(int)
    fitted = system("mindlink-eumpy")(CONFIG).fit(long, np.arange(68), y)
    rows = np.arange(17, 34)
    p = fitted.predict_proba(long, rows)
    corrupted = Corrupted(long.path)
    corrupted.corrupted_rows = np.r_[0:17, 34:68]
    assert np.array_equal(fitted.predict_proba(corrupted, rows), p)
    corrupted.corrupted_rows = np.array([30])
    changed = fitted.predict_proba(corrupted, rows) != p
    assert changed.tolist() == [False] * 13 + [True] * 4  # the sequences that end with 30 to 33
    # and a window's answer does not depend on which others are asked for
    assert fitted.predict_proba(long, rows[5:6]) == pytest.approx(p[5:6], abs=1e-6)


@pytest.mark.journey
def test_training_on_one_trial_does_not_look_at_another(long):
    y = (long.windows["valence"].to_numpy() > 5).astype(int)
    rows = np.r_[0:17, 51:68]
    corrupted = Corrupted(long.path)
    corrupted.corrupted_rows = np.r_[17:51]
    clean, other = (system("mindlink-eumpy")(CONFIG).fit(store, rows, y[rows], seed=1) for store in (long, corrupted))
    assert np.array_equal(clean.predict_proba(long, rows), other.predict_proba(long, rows))


def test_random_windows_would_leak_and_are_refused():
    with pytest.raises(BadConfig, match="mindlink-eumpy is not tested by protocol window: its sequences of 10 windows"):
        validate_config(CrossvalConfig(system="mindlink-eumpy", modality="faceeeg", protocol="window"))


def test_the_lstm_has_the_sources_sizes():
    def lstm(n_in, n):
        return 4 * n * (n_in + n + 2)  # four gates, each with two biases here

    wanted = lstm(85, 128) + lstm(128, 64) + 2 * (128 + 64) + (64 + 1) * 64 + (64 + 1) * 1
    assert sum(p.numel() for p in LSTM(85, 1).parameters()) == wanted == 164_353


def test_powers_are_z_scored_before_the_lstm():
    network = LSTM(3, 1).eval()
    x = torch.randn(2, 3, 10)
    plain = network(None, None, x).logits
    network.signal_mean.fill_(5.0)
    network.signal_sd.fill_(2.0)
    assert torch.allclose(network(None, None, 5 + 2 * x).logits, plain, atol=1e-5)
