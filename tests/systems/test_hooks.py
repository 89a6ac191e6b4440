"""A method that is meant to take the place of a base class's does so: the base has it, and it is marked."""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pytest
import torch

import gbvnet.systems
from gbvnet.config import CrossvalConfig, TrainConfig, uses_signals
from gbvnet.errors import BadConfig, BadStore, GbvnetError
from gbvnet.experiments import explain, perturbations
from gbvnet.network import batches, lightning_module
from gbvnet.network.batches import Batch
from gbvnet.store import dry_run as described
from gbvnet.store import joined
from gbvnet.store import rebaselined as rebaseline
from gbvnet.store.dry_run import DryRunStore
from gbvnet.store.window_source import WindowSource
from gbvnet.systems import algarni_like, eegnet, mindlink_eumpy
from gbvnet.systems.learners import classical, face_cnn, linear
from gbvnet.systems.learners import late_fusion as fusion
from gbvnet.systems.learners import neural as networks
from gbvnet.systems.learners import rbf_svm as svm
from gbvnet.systems.learners import window_sequences as sequences

SYSTEMS = [importlib.import_module(f"gbvnet.systems.{m.name}") for m in pkgutil.iter_modules(gbvnet.systems.__path__)]
SHARED = [
    batches,
    classical,
    described,
    explain,
    face_cnn,
    lightning_module,
    fusion,
    joined,
    linear,
    networks,
    perturbations,
    rebaseline,
]
MODULES = [*SYSTEMS, *SHARED, sequences, svm]


def classes(modules) -> Iterator[type]:
    for module in modules:
        for made in vars(module).values():
            if inspect.isclass(made) and made.__module__ == module.__name__:
                yield made


def functions(made: type) -> Iterator[tuple[str, object]]:
    """A class's own methods and properties, as plain functions."""
    for name, value in vars(made).items():
        function = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
        if inspect.isfunction(inspect.unwrap(function)) and not name.startswith("__"):
            yield name, function


def marked(function) -> bool:
    return getattr(function, "__override__", False) or getattr(inspect.unwrap(function), "__override__", False)


def test_whatever_is_marked_as_an_override_has_something_to_override():
    n_marked = 0
    for made in classes(MODULES):
        for name, function in functions(made):
            if marked(function):
                n_marked += 1
                assert any(name in vars(base) for base in made.__mro__[1:]), f"{made.__module__}.{made.__name__}.{name}"
    assert n_marked > 100


def test_whatever_overrides_is_marked_where_types_do_not_show_it():
    """Lightning's classes have no types here, so mypy sees none of their hooks."""
    for made in (lightning_module.TrainingModule, lightning_module.AtomicCheckpointIO):
        hooks = [name for name, _ in functions(made) if any(name in vars(base) for base in made.__mro__[1:])]
        assert hooks and all(marked(dict(functions(made))[name]) for name in hooks), made


def test_a_misspelt_hook_is_an_error_with_the_nearest_name():
    with pytest.raises(TypeError, match=r"Misspelt: a system has no augmnt; did you mean augment\?"):

        class Misspelt(networks.NeuralSystem):
            def augmnt(self, batch, generator):
                return batch

    with pytest.raises(TypeError, match=r"a system has no waveform; did you mean waveforms\?"):
        type("Misspelt", (networks.NeuralSystem,), {"waveform": False})
    with pytest.raises(TypeError, match=r"a system has no require_stores; did you mean require_store\?"):
        type("Misspelt", (classical.ClassicalSystem,), {"require_stores": classmethod(lambda cls, store: None)})
    type("Own", (classical.ClassicalSystem,), {"_own": None})  # what is private is the system's own affair


@pytest.mark.parametrize("name", gbvnet.systems.SYSTEMS)
def test_every_system_is_one_of_the_interface(name):
    assert issubclass(gbvnet.systems.system(name), gbvnet.systems.BaseSystem)


# Scaling by subject is applied, or refused.


@pytest.mark.parametrize("name", gbvnet.systems.SYSTEMS)
def test_a_system_scales_by_subject_or_refuses_to(name):
    chosen = gbvnet.systems.system(name)
    for modality in chosen.modalities:
        config = CrossvalConfig(system=name, modality=modality, train=TrainConfig(normalise="subject"))
        if chosen.normalises_by_subject or not uses_signals(modality):
            gbvnet.systems.validate_config(config)
        else:
            with pytest.raises(BadConfig, match=f"{name} does not scale signals by subject.*train.normalise at train"):
                gbvnet.systems.validate_config(config)


@pytest.mark.parametrize("module", SYSTEMS, ids=lambda module: module.__name__)
def test_what_makes_its_own_batches_or_has_parts_says_whether_it_scales_by_subject(module):
    """Features of stored signals are not scaled by subject; of a fusion the part that sees signals decides."""
    for made in vars(module).values():
        if not inspect.isclass(made) or made.__module__ != module.__name__:
            continue
        if issubclass(made, networks.NeuralSystem) and "_windows" in vars(made) and "face" not in made.modalities:
            assert not made.normalises_by_subject
        if issubclass(made, fusion.LateFusion):
            assert made.normalises_by_subject == made.part_classes["eeg"].normalises_by_subject


# Systems whose signals are features of windows: nothing may be done to them that has a meaning in time only.


def features(shape):
    return Batch(None, None, torch.arange(float(torch.Size(shape).numel())).reshape(shape), None, None, None)


def test_sequences_of_band_powers_are_not_augmented_as_if_they_were_waveforms():
    made = mindlink_eumpy.EEGSystem(CrossvalConfig(modality="eeg", system="mindlink-eumpy"))
    made.network = mindlink_eumpy.LSTM(4, 1)
    batch = features((3, 4, 10))  # (B, D, T)
    assert made.config.train.augment
    out = made.augment(batch, torch.Generator().manual_seed(3))
    assert torch.equal(out.signals, batch.signals)


def test_band_powers_are_corrupted_by_the_training_windows_own_mean():
    train = TrainConfig(augment=True, corrupt=1.0)
    made = mindlink_eumpy.EEGSystem(CrossvalConfig(modality="eeg", system="mindlink-eumpy", train=train))
    made.network = mindlink_eumpy.LSTM(4, 1)
    made.network.signal_mean.fill_(7.0)
    batch = features((400, 4, 10))
    out = made.augment(batch, torch.Generator().manual_seed(0)).signals
    covered = (out == 7.0).all(dim=2)  # whole features take their mean
    assert 0.1 < covered.float().mean() < 0.4  # half of the windows, half of their features
    assert not torch.equal(out, batch.signals)


def test_a_network_without_a_scale_refuses_corruption_and_is_not_augmented():
    config = CrossvalConfig(modality="eeg", system="algarni-like", train=TrainConfig(corrupt=0.5))
    made = algarni_like.System(config)
    made.network = torch.nn.Linear(2, 1)
    with pytest.raises(BadConfig, match=r"algarni-like learns from features .* set train\.corrupt to 0"):
        made._fit_normaliser(None, type("Windows", (), {"channels": [0]})())
    plain = algarni_like.System(CrossvalConfig(modality="eeg", system="algarni-like"))
    plain.network = torch.nn.Linear(2, 1)
    batch = features((2, 3, 5))
    assert torch.equal(plain.augment(batch, torch.Generator()).signals, batch.signals)


ARGUMENTS = {"recording": "s01_01", "rows": [0, 5], "modality": "signals", "name": "valence"}  # without a default


@pytest.mark.journey
def test_a_dry_run_store_has_every_method_of_a_store():
    store = DryRunStore("deap:2x3x4")
    names = [name for name, _ in functions(WindowSource) if not name.startswith("_")]
    for name in names:
        if isinstance(vars(WindowSource)[name], property):
            getattr(store, name)
        elif name == "modality":  # there is none, and it says so
            with pytest.raises(BadConfig, match="found none"):
                store.modality("log_mel", [0])
        else:
            needed = inspect.signature(getattr(store, name)).parameters.values()
            getattr(store, name)(*(ARGUMENTS[p.name] for p in needed if p.default is p.empty))
    assert {"read", "expression", "baseline", "digest"} <= set(names)
    assert store.baseline("s02_03").shape == (40, 3 * 128)
    with pytest.raises(KeyError):
        store.baseline("s03_01")


class FixedStatistics:
    """Windows of which only the statistics are known."""

    channels = (0, 1)

    def __init__(self, mean, sd):
        self.statistics = torch.tensor(mean), torch.tensor(sd)

    def signal_statistics(self):
        return self.statistics


def normalised(mean, sd):
    made = eegnet.System(CrossvalConfig(modality="eeg", system="eegnet"))
    made.shape = networks.Shape((("Fp1", "eeg"), ("GSR1", "gsr")), 128.0, 128, 0, 0, 1)
    made.network = made.build(made.shape)
    made._fit_normaliser(DryRunStore("deap:2x3x4"), FixedStatistics(mean, sd))
    return made.network


def test_every_network_is_normalised_under_one_guard():
    network = normalised([3.0, 30.0], [2.0, 1e-9])
    assert network.signal_mean.tolist() == [3.0, 30.0]
    assert network.signal_sd.tolist() == [2.0, 1.0]  # what never moves has no scale
    with pytest.raises(BadStore, match=r"deap:2x3x4.*finite signals in every training window.*in GSR1"):
        normalised([3.0, float("nan")], [2.0, 1.0])
    with pytest.raises(BadStore, match=r"infinite values in Fp1, GSR1"):
        normalised([float("inf"), float("nan")], [2.0, 1.0])
    with pytest.raises(GbvnetError, match=r"the mean of 2 channels must be that many finite numbers, not \(3,\)"):
        normalised([3.0, 1.0, 1.0], [2.0, 1.0, 1.0])  # a network of other channels
