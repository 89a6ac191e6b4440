"""Channels of a modality, and statistics of their signals, which are those of numpy in float64."""

import numpy as np
import pytest

from gbvnet.errors import BadConfig
from gbvnet.store.channels import channels_of, statistics

from ..synthetic_store import write_store


def test_statistics_are_exact_even_far_from_zero(tmp_path, monkeypatch):
    monkeypatch.setattr("gbvnet.store.channels.CHUNK_ROWS", 7)
    rng = np.random.default_rng(0)
    signals = (rng.normal(size=(50, 3, 32)) * [[0.01], [1], [1e3]] + [[1e4], [0], [1e5]]).astype(np.float32)
    signals[:, 1] = 4.0  # flat

    class Source:
        def read(self, rows, faces, signals_=None):
            return None, None, signals[rows]

    mean, sd = statistics(Source(), np.arange(50), [0, 1, 2])
    exact = signals.astype(np.longdouble)
    assert mean == pytest.approx(exact.mean(axis=(0, 2)).astype(float), rel=1e-9)
    assert sd[[0, 2]] == pytest.approx(exact.std(axis=(0, 2)).astype(float)[[0, 2]], rel=1e-5)
    assert sd[1] == 1.0


def test_a_modality_that_the_store_does_not_hold_is_refused(tmp_path):
    bare = write_store(tmp_path / "s", subjects=1, trials=2, faces=False)
    with pytest.raises(BadConfig, match="modality faceeeg needs faces"):
        channels_of(bare, "faceeeg")
    bare.settings["channels"] = [["Fz", "eeg"]]
    with pytest.raises(BadConfig, match=r"modality peri uses no channel of .* kinds of channels there: eeg"):
        channels_of(bare, "peri")
