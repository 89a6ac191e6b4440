"""When a training is compiled, for which batches, and what happens where the compiler does not work."""

import logging
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
import torch._dynamo
from torch import nn

from gbvnet.config import GBVNetConfig, TrainConfig, from_dict, to_dict
from gbvnet.errors import BadConfig
from gbvnet.network import compiling
from gbvnet.network.batches import Windows
from gbvnet.network.compiling import CompiledNetwork, compiled_in_training, compiled_training, is_compiled
from gbvnet.network.devices import has_kernels
from gbvnet.network.model import GBVNet
from gbvnet.network.training import fit_network
from gbvnet.network.training_data import TrainingData

from ..synthetic_store import CHANNELS, FRAMES, SAMPLES, write_store
from .test_training import CPU, Tiny, train, without_seconds

GPU, CUDA = torch.cuda.is_available(), torch.device("cuda")
TORCHS_COMPILE = torch.compile


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("compiling") / "store")


@pytest.fixture
def shapes(monkeypatch):
    """The shapes for which torch.compile compiles a network; without a C++ compiler, which takes a minute."""
    torch._dynamo.reset()
    compiled = []

    def backend(graph, inputs):
        compiled.append([tuple(t.shape) for t in inputs])
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda form, **_: TORCHS_COMPILE(form, backend=backend, dynamic=False))
    return compiled


@pytest.fixture
def broken(monkeypatch):
    def fail(graph, inputs):
        raise RuntimeError("no C compiler")

    torch._dynamo.reset()
    monkeypatch.setattr(torch, "compile", lambda form, **_: TORCHS_COMPILE(form, backend=fail))


def network(modality="facebio", **others):
    torch.manual_seed(0)
    sizes = {"n_channels": len(CHANNELS), "n_samples": SAMPLES, "n_frames": FRAMES}
    return GBVNet(GBVNetConfig(variant="micro", modality=modality, modality_dropout=0.0, **sizes, **others))


def test_the_setting_is_written_as_before_and_read():
    assert to_dict(TrainConfig())["compile"] is False  # as in all files of before
    for value in (False, True, "auto"):
        config = TrainConfig(compile=value)
        assert from_dict(TrainConfig, to_dict(config)) == config == TrainConfig(**asdict(config))
    with pytest.raises(BadConfig, match=r"train\.compile must be auto, true or false, not 'maybe'"):
        TrainConfig(compile="maybe")


@pytest.mark.journey
def test_automatically_long_trainings_with_pictures_on_a_gpu_are_compiled():
    auto, cpu, many = TrainConfig(epochs=10, compile="auto"), torch.device("cpu"), compiling.WORTH // 10
    assert is_compiled(network(), auto, CUDA, many)
    assert not is_compiled(network(), auto, CUDA, many - 1)
    assert not is_compiled(network(), auto, cpu, many)
    assert not is_compiled(network("bio"), auto, CUDA, many)
    assert not is_compiled(network(face_input="features", n_face_features=3), auto, CUDA, many)
    assert not is_compiled(Tiny(), auto, CUDA, many)
    assert not is_compiled(network(), replace(auto, compile=False), CUDA, many)
    assert is_compiled(Tiny(), replace(auto, compile=True), cpu, 1)


@pytest.mark.journey
def test_only_batches_of_the_one_size_are_compiled(shapes):
    layer = nn.Linear(2, 3)
    form = CompiledNetwork(layer, 8, torch.device("cpu"), "", True)
    for size in (8, 8, 3, 5, 8, 1):
        x = torch.randn(size, 2)
        assert torch.equal(form(x), layer(x))
    assert len(shapes) == 1


@pytest.mark.journey
def test_a_training_that_is_compiled_is_the_same(store, shapes):
    plain, p = train(store, CPU)
    compiled, q = train(store, replace(CPU, compile=True))
    assert shapes and {s[0] for of_one in shapes for s in of_one if len(s) == 3} == {CPU.batch_size}
    assert without_seconds(compiled) == without_seconds(plain)
    assert np.array_equal(p, q)


@pytest.mark.journey
def test_a_compiler_that_does_not_work_costs_one_line(broken, caplog):
    form = CompiledNetwork(Tiny(), 4, torch.device("cpu"), "fold 1: ", False)
    with caplog.at_level(logging.WARNING, "gbvnet"):
        for _ in range(3):
            out = form(None, None, torch.randn(4, 5, 16))
    assert out.logits.shape == (4, 1)
    (line,) = [r.message for r in caplog.records if r.name == "gbvnet.network.compiling"]
    assert line.startswith("fold 1: torch.compile does not work here (") and "no C compiler" in line


@pytest.mark.journey
def test_a_compiler_that_is_required_and_does_not_work_is_an_error(broken):
    form = CompiledNetwork(Tiny(), 4, torch.device("cpu"), "", True)
    with pytest.raises(RuntimeError, match="no C compiler"):
        form(None, None, torch.randn(4, 5, 16))


@pytest.mark.journey
def test_functions_are_compiled_in_such_a_training_alone(shapes):
    double = compiled_in_training(lambda x: 2 * x)
    x = torch.ones(3)
    assert torch.equal(double(x), 2 * x) and not shapes
    with compiled_training(False, torch.device("cpu")):
        assert torch.equal(double(x), 2 * x) and not shapes
    with compiled_training(True, torch.device("cpu")):
        assert torch.equal(double(x), 2 * x) and len(shapes) == 1
    assert torch.equal(double(x), 2 * x) and len(shapes) == 1


def test_a_function_that_cannot_be_compiled_is_computed(broken, caplog):
    double = compiled_in_training(lambda x: 2 * x)
    with compiled_training(True, torch.device("cpu")), caplog.at_level(logging.WARNING, "gbvnet"):
        assert all(torch.equal(double(torch.ones(3)), 2 * torch.ones(3)) for _ in range(2))
    assert len(caplog.records) == 1


@pytest.mark.journey
def test_kernels_are_used_where_they_agree_with_torch_only(monkeypatch, caplog):
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert compiling._disagreement(cpu) == 0.0  # there both forms are torch's
    for off, line in (
        (0.2, "differ from torch by 0.2 of"),
        (float("nan"), "differ from torch by nan of"),
        (None, "do not run"),
    ):

        def differ(device, off=off):
            if off is None:
                raise RuntimeError("no C compiler")
            return off

        monkeypatch.setattr(compiling, "_disagreement", differ)
        compiling.kernels_agree.cache_clear()
        with caplog.at_level(logging.WARNING, "gbvnet"), compiled_training(True, gpu):
            assert not has_kernels(gpu)
        assert line in caplog.records[-1].message
    monkeypatch.setattr(compiling, "_disagreement", lambda device: 0.01)
    compiling.kernels_agree.cache_clear()
    with compiled_training(True, gpu):
        assert has_kernels(gpu) and not has_kernels(cpu)
    with compiled_training(False, gpu):
        assert not has_kernels(gpu)
    assert not has_kernels(gpu)
    compiling.kernels_agree.cache_clear()


@pytest.mark.skipif(not GPU, reason="needs a GPU")
def test_on_a_gpu_a_compiled_training_is_about_the_plain_one_and_repeats_bit_by_bit(store):
    rows = np.flatnonzero(store.windows["has_signals"] & store.windows["has_face"])
    y = (store.windows["valence"] >= 5).to_numpy(float)[rows, None]
    ends, losses = [], []
    for compile_ in (False, True, True):
        windows = [Windows(store, rows[a:b], "facebio", y[a:b], CUDA, 1.0) for a, b in ((0, 35), (35, None))]
        net = network(dropout=0.0)
        config = TrainConfig(batch_size=8, epochs=3, precision="32", compile=compile_)
        fitted = fit_network(net, TrainingData(*windows), config, seed=1)
        losses.append([row[name] for row in fitted.history for name in ("train_loss", "inner_loss")])
        ends.append(net.state_dict())
    assert np.allclose(losses[0], losses[1], atol=0.05)
    assert losses[1] == losses[2]
    assert all(torch.equal(a, b) for a, b in zip(ends[1].values(), ends[2].values(), strict=True))
