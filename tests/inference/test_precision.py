"""Prediction in bf16 is a setting, never a default; what it changes is measured on the recording itself."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from gbvnet.config import PrepareConfig, TrainConfig
from gbvnet.datasets import open_corpus
from gbvnet.errors import BadConfig
from gbvnet.inference.batch import FileSource, PredictionSettings, predict_many
from gbvnet.inference.predictor import Predictor
from gbvnet.network.devices import has_bf16, precision_of
from gbvnet.store.prepare import prepare_store
from gbvnet.store.reader import open_store

from .test_predict import make_model, write_edf

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("precision")
    write_edf(root / "x.edf")
    (root / "recordings.csv").write_text("subject,trial,signals,start_s,stop_s,valence\nanna,1,x.edf,4,10,7\n")
    prepare_store(open_corpus("table", root), root / "store", PrepareConfig(faces=False))
    make_model(root / "model", open_store(root / "store"))
    return root


def windows(folder):
    return open_store(folder / "store").read(np.arange(6))[2]


@pytest.mark.journey
def test_bf16_is_compared_with_32_bit_on_the_first_windows(folder):
    signals = np.concatenate([windows(folder)] * 13)  # 78 windows, two batches
    exact, fast = Predictor(folder / "model", "cpu"), Predictor(folder / "model", "cpu", "bf16")
    expected, predicted = (p.predict_windows(None, None, signals).values for p in (exact, fast))
    difference = np.abs(predicted[:64] - expected[:64]).max()
    assert 0 < difference < 0.05  # the head of this model is thirty times as steep as it began
    assert fast.n_compared == 64 and fast.largest_change == pytest.approx(difference, rel=1e-3)
    assert "first 64 windows" in fast.precision_note and exact.precision_note is None and exact.precision_details == {}
    fast.compare_anew()
    fast.predict_windows(None, None, signals[:1])
    assert "of its first window differ" in fast.precision_note


@pytest.mark.journey
def test_32_bit_is_what_is_used_unless_another_is_chosen(folder):
    assert not Predictor(folder / "model", "cpu").bf16 and PredictionSettings().precision == "32"
    assert precision_of(TrainConfig(), CPU) == "32-true"  # also of a cross-validation
    with pytest.raises(BadConfig, match="precision must be one of 32, bf16, auto, not 16"):
        Predictor(folder / "model", "cpu", "16")


@pytest.mark.journey
@pytest.mark.parametrize(("amx", "avx", "expected"), [(True, False, True), (False, True, True), (False, False, False)])
def test_auto_asks_torch_what_the_processor_has(folder, monkeypatch, amx, avx, expected):
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx, raising=False)
    assert has_bf16(CPU) == expected == Predictor(folder / "model", "cpu", "auto").bf16
    assert not has_bf16(torch.device("meta"))


def test_a_torch_that_cannot_tell_has_none(monkeypatch):
    for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
        monkeypatch.delattr(torch.cpu, name, raising=False)
    assert not has_bf16(CPU)


@pytest.mark.journey
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_prediction_names_its_precision_and_what_it_changed(folder, tmp_path, precision):
    settings = PredictionSettings(device="cpu", precision=precision)
    done = predict_many(folder / "model", FileSource([Path(folder / "x.edf")]), tmp_path / "out", settings)
    about = json.loads((tmp_path / "out/recording.json").read_text())
    assert done.bad == 0 and any("computed in bf16" in line for line in done.lines) == (precision == "bf16")
    assert about.get("precision") == (None if precision == "32" else "bf16")
    if precision == "bf16":
        assert about["windows_compared_with_32_bit"] > 0 and 0 < about["largest_change"] < 0.05
        assert about["asked"]["precision"] == "bf16"
    else:
        assert "precision" not in about["asked"]
