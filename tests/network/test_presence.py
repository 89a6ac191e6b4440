"""What a batch has is known on the host, so that a network, its augmentation and its losses ask a GPU for nothing.

No GPU is needed: a tensor of the device `meta` has no values, so that asking for one raises; and on a CPU the form for
a GPU is chosen by force and the operations that would make the host wait are refused.
"""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from gbvnet.config import GBVNetConfig
from gbvnet.errors import GbvnetError
from gbvnet.network import augment, model
from gbvnet.network.augment import augment_faces, augment_signals, corrupt, flip_and_blur_all, flip_and_blur_some
from gbvnet.network.batches import Windows, with_network_faces
from gbvnet.network.devices import adam
from gbvnet.network.model import AccumulatedEnergy, GBVNet, energy
from gbvnet.network.objectives import BinaryCrossEntropy
from gbvnet.network.presence import Presence

from ..synthetic_store import CHANNELS, FRAMES, SAMPLES, SIDE, write_store

ALL = Presence(True, True, True, True, True)
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero", "unique")


class NoWait(TorchDispatchMode):
    """Refuses the operations for which the host waits for a GPU."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.__name__.partition(".")[0]
        by_mask = name in ("index", "index_put", "index_put_") and any(
            t is not None and t.dtype in (torch.bool, torch.uint8) for t in args[1]
        )
        assert name not in WAITS and not by_mask, f"{name} makes the host wait for the device"
        return func(*args, **(kwargs or {}))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    path = tmp_path_factory.mktemp("presence") / "store"
    return write_store(path, missing={(1, 1): "face", (2, 2): "signals"})


@pytest.fixture
def as_on_gpu(monkeypatch):
    for module in (model, augment):
        monkeypatch.setattr(module, "is_asynchronous", lambda device: True)


def network(**others):
    torch.manual_seed(0)
    sizes = {"n_channels": len(CHANNELS), "n_samples": SAMPLES, "n_frames": FRAMES}
    return GBVNet(GBVNetConfig(variant="micro", **sizes, **others))


def labelled(store, rows, memory_gib=1.0, modality="facebio"):
    y = np.arange(len(rows))[:, None] % 2
    return Windows(store, rows, modality, y, memory_gib=memory_gib)


@pytest.mark.journey
@pytest.mark.parametrize("memory_gib", [1.0, 0.0])
@pytest.mark.parametrize("modality", ["facebio", "face", "bio"])
def test_a_batch_knows_what_its_masks_say(store, memory_gib, modality):
    rows = np.arange(len(store))
    windows = labelled(store, rows, memory_gib, modality=modality)
    kinds = set()
    for batch in windows.in_order(7):
        ok, n = batch.face_ok, len(batch.y)
        face = torch.zeros(n, dtype=bool) if batch.faces is None else torch.ones(n, dtype=bool)
        face = face if ok is None else face & ok.any(1)
        face = face if batch.has_face is None else face & batch.has_face
        signals = torch.full((n,), batch.signals is not None)
        signals = signals if batch.has_signals is None else signals & batch.has_signals
        assert batch.presence == Presence.of(face.numpy(), signals.numpy())
        kinds.add(batch.presence)
    assert modality != "facebio" or len(kinds) == 3  # no face, no signals, and both in every window


class Blind(Windows):
    """Windows whose first rows have a face by the table, and not one frame that shows it."""

    def _read_store(self, rows):
        faces, ok, signals = super()._read_store(rows)
        return faces, ok & (rows >= 16)[:, None], signals


@pytest.mark.journey
@pytest.mark.parametrize("memory_gib", [1.0, 0.0])
def test_a_window_without_a_valid_frame_has_no_face(store, memory_gib):
    rows = np.flatnonzero(store.windows["has_face"] & store.windows["has_signals"])
    rows = np.concatenate([rows[rows < 16][-4:], rows[rows >= 16][:8]])
    assert (rows < 16).sum() == 4
    of_each = [batch.presence for batch in Blind(store, rows, "facebio", memory_gib=memory_gib).in_order(4)]
    assert of_each == [Presence(False, False, True, True, True), ALL, ALL]


def test_presence_of_given_windows():
    neither, some = np.array([True, False, False]), np.array([True, True, False])
    assert Presence.of(some, neither) == (True, False, True, False, False)
    assert Presence.of(some, ~some) == (True, False, True, False, True)
    assert Presence.of(some | True, ~some).all_both is False
    assert Presence.of(some | True, some | True) == ALL


@pytest.mark.journey
@pytest.mark.parametrize("modality", ["facebio", "face", "bio"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
@pytest.mark.parametrize("training", [True, False])
def test_the_network_asks_no_device_if_it_is_given_the_presence(modality, dropout, training):
    net = network(modality=modality, modality_dropout=dropout).to("meta").train(training)
    faces = torch.rand(3, FRAMES, 3, SIDE, SIDE, device="meta") if modality != "bio" else None
    signals = torch.rand(3, len(CHANNELS), SAMPLES, device="meta") if modality != "face" else None
    ok, has = torch.ones(3, FRAMES, dtype=bool, device="meta"), torch.ones(3, dtype=bool, device="meta")
    presence = Presence(faces is not None, faces is not None, signals is not None, signals is not None, True)
    out = net(faces, ok, signals, has, has, presence)
    assert out.logits.shape == (3, 1)
    with pytest.raises(RuntimeError, match="meta"):
        net(faces, ok, signals, has, has)


@pytest.mark.journey
def test_a_whole_training_step_asks_no_device(store, as_on_gpu):
    rows = np.flatnonzero(store.windows["has_signals"])[:24]  # the first trial has no face
    net = network(modality_dropout=0.2).train()
    optimiser = adam(net.parameters(), 1e-3)
    generator = torch.Generator().manual_seed(1)
    mean, sd = labelled(store, rows).signal_statistics()
    (batch,) = labelled(store, rows).in_order(len(rows))
    assert batch.presence.any_face and not batch.presence.all_faces
    objective, sums = BinaryCrossEntropy(), torch.zeros(BinaryCrossEntropy.n_sums)
    with NoWait():
        batch = with_network_faces(batch)
        faces = augment_faces(batch.faces, generator)
        signals = augment_signals(batch.signals, sd, generator, mean)
        faces, signals = corrupt(faces, signals, 0.8, mean, sd, generator)
        logits = net(*batch._replace(faces=faces, signals=signals).inputs_of(net)).logits
        loss = objective.loss(logits, batch.y)
        sums += objective.sums(logits, batch.y, loss)
        loss.backward()
    optimiser.step()
    assert torch.isfinite(loss) and (faces != batch.faces).any() and (signals != batch.signals).any()


def test_the_refusal_of_waits_refuses_one(store):
    (batch,) = labelled(store, np.arange(24)).in_order(24)
    with NoWait(), pytest.raises(AssertionError, match="makes the host wait"):
        network().eval()(*with_network_faces(batch)[:5])


@pytest.mark.journey
@pytest.mark.parametrize("rows", [np.arange(40), np.arange(6, 30)], ids=["some missing", "fewer"])
@pytest.mark.parametrize("training", [True, False])
def test_logits_and_gradients_are_those_of_the_plain_form(store, monkeypatch, rows, training):
    (batch,) = labelled(store, rows).in_order(len(rows))
    batch = with_network_faces(batch)
    results = []
    for gpu in (False, True):
        monkeypatch.setattr(model, "is_asynchronous", lambda device, gpu=gpu: gpu)
        net = network(modality_dropout=0.2, dropout=0.0).train(training)
        for name, parameter in net.named_parameters():
            if "grn" in name:
                torch.nn.init.normal_(parameter, std=0.5, generator=torch.Generator().manual_seed(3))
        for module in net.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        if net.time is not None:
            for layer in net.time.layers:
                layer.attention.dropout = 0.0
        torch.manual_seed(1)  # of modality dropout
        logits = net(*batch.inputs_of(net)).logits
        BinaryCrossEntropy().loss(logits, batch.y).backward()
        results.append((logits, {n: p.grad for n, p in net.named_parameters()}))
    (plain, gradients), (form, others) = results
    assert (plain - form).abs().max() < 1e-5
    for name, gradient in gradients.items():
        assert (gradient is None) == (others[name] is None), name
        if gradient is not None:
            assert (gradient - others[name]).abs().max() < 1e-5, name


@pytest.mark.parametrize("modality", ["facebio", "face", "bio"])
def test_a_missing_modality_is_refused_with_and_without_the_presence(store, as_on_gpu, modality):
    everything = labelled(store, np.arange(len(store)))
    (batch,) = everything.in_order(len(store))
    batch, net = with_network_faces(batch), network(modality=modality, modality_dropout=0.0)
    for inputs in (batch.inputs_of(net), batch[:5]):
        with pytest.raises(GbvnetError, match="windows"):
            net(*inputs)


def test_other_networks_are_given_the_first_five_fields(store):
    (batch,) = labelled(store, np.arange(4)).in_order(4)
    assert len(batch.inputs_of(torch.nn.Linear(2, 2))) == 5 and len(batch.inputs_of(network())) == 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_energy_of_a_map_without_a_map_of_floats(dtype):
    generator = torch.Generator().manual_seed(2)
    x = torch.randn(3, 5, 4, 8, generator=generator, dtype=torch.float64)
    weights = torch.rand(3, 8, generator=generator, dtype=torch.float64)
    given = x.to(dtype).requires_grad_()
    exact = given.detach().double().requires_grad_()
    expected = exact.square().sum((1, 2))
    (gradient,) = torch.autograd.grad((expected * weights).sum(), exact)
    for form in (energy, AccumulatedEnergy.apply):
        made = form(given)
        assert made.dtype == torch.float32
        assert torch.allclose(made.double(), expected, rtol=1e-6)  # the accumulator is float32, whatever the map is
        (of_form,) = torch.autograd.grad((made * weights.float()).sum(), given)
        assert of_form.dtype == dtype
        assert torch.allclose(of_form.double(), gradient, rtol=1e-6 if dtype == torch.float32 else 1e-2)


def test_a_map_of_zeros_has_a_finite_gradient(as_on_gpu):
    grn = model.GlobalResponseNorm(4)
    torch.nn.init.ones_(grn.gamma)
    x = torch.zeros(2, 3, 3, 4, requires_grad=True)
    grn(x).sum().backward()
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("side", [8, 32])
def test_flip_and_blur_of_all_windows_at_once_is_that_of_one_by_one(side):
    generator = torch.Generator().manual_seed(4)
    faces = torch.rand(8, 2, 3, side, side, generator=generator)
    flipped, blurred = (torch.tensor([bool(int(c)) for c in text]) for text in ("01010101", "00110011"))
    sigma = torch.linspace(0.1, 2, 8)
    expected = flip_and_blur_some(faces.clone(), flipped, blurred, sigma)
    made = flip_and_blur_all(faces, flipped, blurred, sigma)
    assert (made - expected).abs().max() < 1e-6
    assert torch.equal(made[0], faces[0]) and torch.equal(made[1], faces[1].flip(-1))  # not blurred: no pixel changes
    assert (made[2] - faces[2]).abs().max() > 0 and (made[6] - faces[6]).abs().max() > 0.01


def test_noise_of_faces_on_a_gpu_is_in_the_chosen_windows_alone():
    faces = torch.full((4, 2, 3, 16, 16), 0.5)
    chosen, strength = torch.tensor([True, False, True, False]), torch.tensor([0.0, 0.5, 1.0, 1.0])
    made = augment.noisy_everywhere(faces, strength, chosen, torch.Generator().manual_seed(0))
    assert torch.equal(made[[1, 3]], faces[[1, 3]])
    assert torch.allclose(made[0], faces[0], atol=1e-6)  # of no strength
    assert 0.1 < made[2].std() < 0.5 and torch.equal(made[2, 0], made[2, 1]) and made.min() >= 0


def test_adam_of_a_cpu_is_the_plain_one_and_the_fused_one_gives_the_same():
    start, plain, fused = torch.linspace(-1, 1, 50), [], []
    for kept, options in ((plain, {}), (fused, {"fused": True})):
        weight = torch.nn.Parameter(start.clone())
        optimiser = torch.optim.Adam([weight], lr=1e-2, **options)
        own = torch.nn.Parameter(start.clone())
        for each, step in ((weight, optimiser), (own, adam([own], 1e-2))):
            for _ in range(5):
                step.zero_grad()
                (each**4).sum().backward()
                step.step()
            kept.append(each.detach())
    assert torch.equal(plain[0], plain[1]) and (plain[0] - fused[0]).abs().max() < 1e-6
    assert adam([torch.nn.Parameter(start)], 1e-3).defaults["fused"] is None
