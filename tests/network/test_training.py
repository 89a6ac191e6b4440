"""The training loop: which epoch is kept, when it stops, and that a killed training ends as if it had not been."""

import inspect
import logging
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
import torch._dynamo.exc
from torch import Tensor, nn

from gbvnet.config import TrainConfig
from gbvnet.errors import BadConfig, GbvnetError
from gbvnet.network import devices, lightning_module, training
from gbvnet.network.batches import Windows
from gbvnet.network.prediction import predict_network
from gbvnet.network.training import fit_network
from gbvnet.network.training_data import TrainingData, batch_size

from ..synthetic_store import write_store

CPU = TrainConfig(device="cpu", batch_size=16, epochs=6, patience=50)


class Out(NamedTuple):
    logits: Tensor
    gate_face: Tensor
    gate_bio: Tensor


class Tiny(nn.Module):
    """Signals -> one logit, with dropout, so that every kind of randomness is there."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(5, generator=generator) / 10)
        self.norm, self.dropout = nn.BatchNorm1d(5), nn.Dropout(0.3)

    def forward(self, faces, face_ok, signals, has_face=None, has_signals=None):
        x = self.dropout(self.norm(signals.std(dim=2)))  # (B, 5)
        none = torch.full((len(x),), torch.nan)
        return Out((x @ self.weight)[:, None], none, none)


def noise(batch, generator):
    return batch._replace(signals=batch.signals + torch.randn(batch.signals.shape, generator=generator))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("training") / "store")


def sides(store, memory_gib=1.0):
    rows, y = np.arange(len(store)), (store.windows["valence"] >= 5).to_numpy(float)[:, None]
    validation = rows % 5 == 0
    return [Windows(store, rows[at], "bio", y[at], memory_gib=memory_gib) for at in (~validation, validation)]


def train(store, config=CPU, work=None, memory_gib=1.0, network=None, **more):
    network = network or Tiny()
    fitted = fit_network(
        network, TrainingData(*sides(store, memory_gib)), config, seed=3, augment=noise, work=work, **more
    )
    everything = Windows(store, np.arange(len(store)), "bio")
    return fitted, predict_network(network, everything, config)[0]


def without_seconds(fitted):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in fitted.history]


@pytest.mark.parametrize(
    ("n", "size"), [(10, 16), (255, 16), (256, 16), (512, 32), (4000, 128), (4096, 256), (10**6, 256)]
)
def test_the_batch_is_a_sixteenth_of_the_training_windows_as_a_power_of_two(n, size):
    assert batch_size(n, TrainConfig()) == size
    assert batch_size(n, TrainConfig(batch_size=100)) == 100


@pytest.mark.journey
def test_windows_kept_in_memory_and_windows_read_as_needed_train_alike(store):
    (kept, p), (read, q) = train(store, memory_gib=1.0), train(store, memory_gib=0.0)
    assert without_seconds(kept) == without_seconds(read)
    assert np.array_equal(p, q)


@pytest.mark.journey
@pytest.mark.parametrize("epochs_before", [1, 3, 6])
def test_a_training_that_dies_after_an_epoch_ends_with_the_same_weights(store, tmp_path, monkeypatch, epochs_before):
    whole, p = train(store)
    monkeypatch.setattr(lightning_module, "SAVE_EVERY_S", 0.0)
    save = lightning_module.TrainingModule._save

    def save_and_die(self, work):
        save(self, work)
        if self.epochs_done == epochs_before:
            raise RuntimeError("killed")

    monkeypatch.setattr(lightning_module.TrainingModule, "_save", save_and_die)
    with pytest.raises(RuntimeError, match="killed"):
        train(store, work=tmp_path)
    monkeypatch.setattr(lightning_module.TrainingModule, "_save", save)
    torch.manual_seed(12345)  # whatever state the new process is in
    resumed, q = train(store, work=tmp_path)
    assert without_seconds(resumed) == without_seconds(whole)
    assert np.array_equal(p, q)


@pytest.mark.journey
def test_a_damaged_checkpoint_is_as_good_as_none(store, tmp_path, caplog):
    _, p = train(store)
    (tmp_path / "last.ckpt").write_bytes(b"half a file")
    _, q = train(store, work=tmp_path)
    assert "begins anew" in caplog.text
    assert np.array_equal(p, q)


@pytest.mark.journey
def test_the_checkpoint_holds_tensors_and_plain_values_only(store, tmp_path):
    train(store, work=tmp_path)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["gbvnet"]["finished"]
    assert sorted(f.name for f in tmp_path.iterdir()) == ["history.csv", "last.ckpt"]


class Scripted(Tiny):
    """Its validation loss is the one given, whatever it learns: evaluation adds an offset, by the number of epochs."""

    def __init__(self, losses):
        super().__init__()
        self.losses = losses
        self.register_buffer("epoch", torch.tensor(-1))

    def forward(self, faces, face_ok, signals, has_face=None, has_signals=None):
        out = super().forward(faces, face_ok, signals)
        if self.training:
            self.epoch.fill_(self.trained())
            return out
        return out._replace(logits=torch.full_like(out.logits, self.losses[int(self.epoch)]))

    def trained(self):
        return int(self.norm.num_batches_tracked - 1) // 6  # 96 training windows, 16 a step


# A constant logit x on balanced labels costs log(2 cosh(x / 2)): the nearer to 0, the better.
@pytest.mark.journey
def test_the_epoch_with_the_best_validation_loss_is_kept_and_training_stops_after_patience(store):
    network = Scripted([3.0, 2.0, 1.0, 2.0, 1.5, 3.0, 0.0])
    config = TrainConfig(device="cpu", batch_size=16, epochs=7, patience=2)
    fitted, _ = train(store, config, network=network)
    assert fitted.chosen_epoch == 3
    assert len(fitted.history) == 5  # two epochs without a better one
    assert fitted.history[2]["inner_loss"] == pytest.approx(math.log(2 * math.cosh(0.5)), rel=1e-5)
    assert int(network.epoch) == 2  # its weights are those of the third epoch


@pytest.mark.journey
def test_select_last_keeps_the_last_epoch_whatever_the_validation_loss(store):
    network = Scripted([0.0, 1.0, 2.0])
    fitted, _ = train(
        store, TrainConfig(device="cpu", batch_size=16, epochs=3, patience=1, select="last"), network=network
    )
    assert fitted.chosen_epoch == len(fitted.history) == 3
    assert int(network.epoch) == 2


def test_without_validation_windows_the_last_epoch_is_kept(store):
    network = Tiny()
    fitted = fit_network(
        network, TrainingData(sides(store)[0]), TrainConfig(device="cpu", batch_size=16, epochs=2), seed=0
    )
    assert fitted.chosen_epoch == 2
    assert math.isnan(fitted.history[0]["inner_loss"])


def test_a_training_that_diverges_says_so(store):
    network = Tiny()
    network.weight.data.fill_(float("inf"))
    with pytest.raises(GbvnetError, match=r"fold 1: training diverged in epoch 1.*learning_rate"):
        train(store, network=network, label="fold 1: ")


class BreaksOnValidation(Tiny):
    """Its validation loss is no number in the second epoch, while it trains as ever."""

    epochs = 0

    def train(self, mode: bool = True):
        self.epochs += not mode
        return super().train(mode)

    def forward(self, *args):
        out = super().forward(*args)
        return out if self.training or self.epochs < 2 else out._replace(logits=out.logits * torch.nan)


@pytest.mark.journey
@pytest.mark.parametrize("select", ["validation", "last"])
def test_a_validation_loss_that_is_no_number_ends_the_training_and_never_chooses_an_epoch(store, select):
    with pytest.raises(GbvnetError, match=r"diverged in epoch 2: the validation loss is nan"):
        train(store, replace(CPU, select=select), network=BreaksOnValidation())


def test_validation_without_any_window_is_refused(store):
    windows = sides(store)[0]
    nobody = Windows(store, np.arange(0), "bio", np.zeros((0, 1)))
    with pytest.raises(BadConfig, match="no validation window"):
        fit_network(Tiny(), TrainingData(windows, nobody), CPU, seed=0)


def test_more_processes_than_windows_in_a_batch_are_refused():
    with pytest.raises(BadConfig, match=r"batch of 16 windows cannot be shared out among 17 processes.*batch_size"):
        training._require_shares(16, 17)
    training._require_shares(16, 16)


@pytest.mark.journey
def test_training_leaves_the_random_state_and_the_folder_alone_and_lightning_is_silent(
    store, tmp_path, monkeypatch, caplog, capfd
):
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(7)
    expected = torch.rand(1)
    torch.manual_seed(7)
    with caplog.at_level(logging.DEBUG):
        train(store, label="mine: ")
    assert torch.rand(1) == expected
    assert not list(tmp_path.iterdir())
    assert capfd.readouterr() == ("", "")
    assert [r.name for r in caplog.records] == ["gbvnet.network.lightning_module"] * 6
    assert all(m.startswith("mine: epoch") for m in caplog.messages)


def test_ctrl_c_reaches_the_caller(store, monkeypatch):
    def interrupt(self, batch, step):
        raise KeyboardInterrupt

    monkeypatch.setattr(lightning_module.TrainingModule, "training_step", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(store)


TERMINATED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.network.test_training import Tiny, train
from gbvnet.store.reader import open_store

class Terminated(Tiny):
    def forward(self, *batch):
        os.kill(os.getpid(), signal.SIGTERM)
        print("went on")
        return super().forward(*batch)

train(open_store(sys.argv[2]), network=Terminated())
"""


AFTER_FACES = """
import sys, threading, time
from contextlib import ExitStack
sys.path.insert(0, sys.argv[1])
from gbvnet.preprocessing.landmarks import open_landmarker
from gbvnet.store.reader import open_store
from tests.network.test_training import train

def open_it():
    landmarkers.append(stack.enter_context(open_landmarker("mediapipe")))

stack, landmarkers = ExitStack(), []
if sys.argv[3] == "thread":
    thread = threading.Thread(target=open_it)
    thread.start()
    thread.join()
else:
    open_it()
assert landmarkers
with stack:
    train(open_store(sys.argv[2]))
end = time.process_time() + 1
while time.process_time() < end:
    pass
"""


@pytest.mark.journey
@pytest.mark.parametrize("where", ["main", "thread"])
def test_faces_and_trainings_live_in_one_process(store, where):
    """MediaPipe has timers that send SIGPROF, and Lightning puts handlers back as Python knew them: none is death."""
    words = [sys.executable, "-c", AFTER_FACES, str(Path(__file__).parents[2]), str(store.path), where]
    ended = subprocess.run(words, capture_output=True, text=True)
    assert ended.returncode == 0, f"{ended.returncode}: {ended.stderr[-2000:]}"


@pytest.mark.journey
def test_a_terminated_training_dies_at_once(store):
    root = str(Path(__file__).parents[2])
    ended = subprocess.run([sys.executable, "-c", TERMINATED, root, str(store.path)], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGTERM
    assert ended.stdout == ""


def test_a_compiler_that_does_not_work_is_reported(store, monkeypatch):
    failed = torch._dynamo.exc.BackendCompilerFailed
    others = [None] * (len(inspect.signature(failed).parameters) - 2)  # of newer versions of torch

    def fail(self, batch, step):
        raise failed(lambda: None, RuntimeError("no g++"), *others)

    monkeypatch.setattr(torch, "compile", lambda network, **_: network)
    monkeypatch.setattr(lightning_module.TrainingModule, "training_step", fail)
    with pytest.raises(GbvnetError, match=r"torch\.compile does not work here .*; leave train\.compile off"):
        train(store, replace(CPU, compile=True))


def test_a_missing_gpu_is_reported():
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(GbvnetError, match=r"train\.device is gpu, and torch finds none"):
        devices.device_of(TrainConfig(device="gpu"))


def test_weights_are_laid_out_for_a_gpu_whatever_convolutions_there_are():
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv3d(8, 2, 3), nn.Linear(3, 2))
    before = [p.clone() for p in network.parameters()]
    devices.channels_last(network)
    assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not network[0].weight.is_contiguous()
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
