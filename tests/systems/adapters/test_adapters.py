"""What others have written as systems: estimators, networks, functions, commands; against their own libraries."""

import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch import nn

from gbvnet.config import CrossvalConfig, TrainConfig
from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.evaluation.targets import Target, targets_of
from gbvnet.systems.adapters import CommandSystem, EstimatorSystem, ModuleSystem, as_system
from gbvnet.systems.adapters.inputs import Inputs, read_inputs
from gbvnet.systems.adapters.outside import checked
from gbvnet.systems.features.extract import spectral_features

from ...synthetic_store import write_store

CONFIG = CrossvalConfig(
    system="a.py:A", target="valence", modality="bio", train=TrainConfig(epochs=2, batch_size=16, device="cpu")
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return write_store(tmp_path_factory.mktemp("adapters") / "store", subjects=4, trials=6, windows=4, effect=2.0)


@pytest.fixture(scope="module")
def sides(store):
    train = np.flatnonzero(store.windows["subject"] != "s04")
    test = np.flatnonzero(store.windows["subject"] == "s04")
    return train, (store.windows["valence"].to_numpy() >= 5).astype(np.int8), test


class Spread(EstimatorSystem):
    """Of a test."""

    modalities = ("bio",)

    @dataclass(frozen=True)
    class Options:
        """Its options."""

        trees: int = 7

    def estimator(self):
        return RandomForestClassifier(self.options.trees)

    def features(self, inputs):
        return inputs.signals.std(axis=2)


@pytest.mark.journey
def test_an_estimator_is_that_of_scikit_learn_on_the_users_features(store, sides):
    train, y, test = sides
    fitted = Spread(replace(CONFIG, options={"trees": 5})).fit(store, train, y[train], seed=3)
    x = store.read(np.arange(len(store)), faces=False)[2].std(axis=2)
    expected = RandomForestClassifier(5, random_state=3).fit(x[train], y[train]).predict_proba(x[test])[:, 1]
    np.testing.assert_array_equal(fitted.predict_proba(store, test), expected)
    assert ((expected > 0.5) == y[test]).mean() > 0.8


@pytest.mark.journey
def test_validation_rows_are_for_training_too(store, sides):
    train, y, test = sides
    whole = Spread(CONFIG).fit(store, train, y[train], seed=1).predict_proba(store, test)
    parts = Spread(CONFIG).fit(store, train[:40], y[train[:40]], validation=(train[40:], y[train[40:]]), seed=1)
    np.testing.assert_array_equal(parts.predict_proba(store, test), whole)


def test_a_named_estimator_is_behind_a_scaler_on_spectral_features(store, sides):
    train, y, test = sides
    named = as_system(LogisticRegression, "sklearn.linear_model:LogisticRegression")
    fitted = named(replace(CONFIG, options={"C": 0.1})).fit(store, train, y[train])
    x = spectral_features(store, np.arange(len(store)), "bio").astype(float)
    expected = make_pipeline(StandardScaler(), LogisticRegression(C=0.1)).fit(x[train], y[train])
    np.testing.assert_allclose(fitted.predict_proba(store, test), expected.predict_proba(x[test])[:, 1], rtol=1e-9)
    assert "random_state" not in named.Options.__dataclass_fields__
    with pytest.raises(BadConfig, match=r"no option CC of a.py:A"):
        named(replace(CONFIG, options={"CC": 1}))


def test_decisions_without_probabilities_become_some(store, sides):
    train, y, test = sides
    fitted = as_system(LinearSVC, "sklearn.svm:LinearSVC")(CONFIG).fit(store, train, y[train])
    p = fitted.predict_proba(store, test)
    assert ((p > 0) & (p < 1)).all() and ((p > 0.5) == y[test]).mean() > 0.8


@pytest.mark.journey
def test_several_classes_of_which_one_is_absent_and_ratings(store, sides):
    train, _, test = sides
    config = replace(CONFIG, rule="2,4,6", task="multiclass")
    target = targets_of(config, store)[0]
    y = np.digitize(store.windows["valence"], [2, 4, 6])
    made = Spread(config)
    made.target = target
    p = made.fit(store, train, y[train]).predict_proba(store, test)
    assert p.shape == (len(test), 4) and (p[:, [0, 2]] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1), 1)
    config = replace(CONFIG, task="regression")
    made = as_system(Ridge, "sklearn.linear_model:Ridge")(config)
    made.target = targets_of(config, store)[0]
    rating = store.windows["valence"].to_numpy()
    predicted = made.fit(store, train, rating[train]).predict_proba(store, test)
    assert np.corrcoef(predicted, rating[test])[0, 1] > 0.7 and predicted.min() >= 1
    assert as_system(Ridge, "sklearn.linear_model:Ridge").tasks == ("regression",)


@pytest.mark.journey
def test_an_estimator_is_saved_without_pickle_and_loads_the_same(store, sides, tmp_path):
    train, y, test = sides
    fitted = Spread(CONFIG).fit(store, train, y[train])
    fitted.save(tmp_path / "model")
    assert [f.name for f in (tmp_path / "model").iterdir()] == ["model.skops"]
    again = Spread.load(tmp_path / "model", CONFIG)
    np.testing.assert_array_equal(again.predict_proba(store, test), fitted.predict_proba(store, test))
    (tmp_path / "model" / "model.skops").write_bytes(b"PK damaged")
    with pytest.raises(BadModel, match=r"a file that does not read"):
        Spread.load(tmp_path / "model", CONFIG)


class Foreign(ClassifierMixin, BaseEstimator):
    """An estimator with something in it that no other package's types are."""

    def fit(self, x, y):
        self.classes_, self.held = np.unique(y), (i for i in range(3))  # a generator cannot be saved
        return self

    def predict(self, x):
        return np.full(len(x), self.classes_[0])


@pytest.mark.journey
def test_what_cannot_be_saved_says_so_when_it_is_loaded(store, sides, tmp_path, caplog):
    train, y, test = sides
    made = as_system(Foreign, "a.py:Foreign")
    fitted = made(CONFIG).fit(store, train, y[train])
    assert set(fitted.predict_proba(store, test)) <= {0.0, 1.0}
    fitted.save(tmp_path / "model")
    assert "the model is not saved" in caplog.text
    with pytest.raises(BadModel, match=r"one that could not be saved"):
        made.load(tmp_path / "model", CONFIG)


@pytest.mark.journey
def test_a_saved_model_with_types_of_others_is_refused(store, sides, tmp_path):
    train, y, _ = sides

    class Held(Spread):
        """Its estimator is of a package that a loader does not know."""

        modalities = ("bio",)

        def estimator(self):
            made = RandomForestClassifier(2)
            made.held = Foreign()
            return made

    Held(CONFIG).fit(store, train, y[train]).save(tmp_path / "model")
    stranger = as_system(RandomForestClassifier, "sklearn.ensemble:RandomForestClassifier")
    with pytest.raises(BadModel, match=r"with types of its own alone, found .*Foreign"):
        stranger.load(tmp_path / "model", CONFIG)


def test_of_two_targets_one_may_have_a_single_class(store, sides):
    train, y, test = sides
    both = np.stack([y, np.ones_like(y)], axis=1)
    made = as_system(LogisticRegression, "sklearn.linear_model:LogisticRegression")(CONFIG)
    p = made.fit(store, train, both[train]).predict_proba(store, test)
    assert p.shape == (len(test), 2) and (p[:, 1] == 1).all()


# --- networks ---


class Conv(nn.Module):
    """braindecode's signature."""

    def __init__(self, n_chans, n_times, n_outputs, sfreq, n_filters=4, drop=0.0):
        super().__init__()
        self.sizes = (n_chans, n_times, n_outputs, sfreq)
        self.conv = nn.Conv1d(n_chans, n_filters, 5)
        self.head = nn.Linear(n_filters, n_outputs)

    def forward(self, x):
        return self.head(torch.log(self.conv(x).square().mean(dim=2) + 1e-6))


class OfFaces(nn.Module):
    """Faces alone, and an output without a second dimension."""

    def __init__(self, n_outputs, n_frames, side):
        super().__init__()
        self.head = nn.Linear(3 * n_frames, n_outputs)

    def forward(self, faces):
        return self.head(faces.mean(dim=(3, 4)).flatten(1)).squeeze(1)


class OfBoth(nn.Module):
    """Faces and signals."""

    def __init__(self, n_outputs, n_chans):
        super().__init__()
        self.head = nn.Linear(3 + n_chans, n_outputs)

    def forward(self, signals, faces):
        return self.head(torch.cat([signals.std(dim=2), faces.mean(dim=(1, 3, 4))], dim=1))


@pytest.mark.journey
@pytest.mark.parametrize(("module", "modality"), [(Conv, "bio"), (OfFaces, "face"), (OfBoth, "facebio")])
def test_a_named_network_learns_saves_and_loads(module, modality, store, sides, tmp_path):
    train, y, test = sides
    made = as_system(module, f"a.py:{module.__name__}")
    assert made.modalities[0] == modality
    config = replace(CONFIG, modality=modality, train=replace(CONFIG.train, epochs=60, learning_rate=0.02, patience=60))
    fitted = made(config).fit(store, train[:48], y[train[:48]], validation=(train[48:], y[train[48:]]))
    p = fitted.predict_proba(store, test)
    assert p.shape == (len(test),) and ((p > 0.5) == y[test]).mean() > 0.7
    fitted.save(tmp_path / "model")
    np.testing.assert_array_equal(made.load(tmp_path / "model", config).predict_proba(store, test), p)
    again = made(config).fit(store, train[:48], y[train[:48]], validation=(train[48:], y[train[48:]]))
    np.testing.assert_array_equal(again.predict_proba(store, test), p)


@pytest.mark.journey
def test_a_network_gets_the_sizes_and_z_scored_signals(store, sides):
    train, y, _ = sides
    made = as_system(Conv, "a.py:Conv")(replace(CONFIG, options={"n_filters": 3}))
    fitted = made.fit(store, train, y[train])
    module = fitted.network.module
    assert module.sizes == (5, 32, 1, 32.0) and module.conv.out_channels == 3
    x = store.read(train, faces=False)[2]
    scaled = fitted.network.z_scored(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(scaled.mean(axis=(0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.std(axis=(0, 2)), 1, atol=1e-4)


@pytest.mark.journey
def test_networks_that_do_not_fit_are_refused(store, sides):
    train, y, _ = sides

    class Wrong(Conv):
        def forward(self, x):
            return torch.zeros(len(x), 3)

    with pytest.raises(BadConfig, match=r"expected logits of shape \(16, 1\), found \(16, 3\)"):
        as_system(Wrong, "a.py:Wrong")(CONFIG).fit(store, train, y[train])

    class TooLong(Conv):
        def __init__(self, n_chans, n_times, n_outputs, sfreq):
            raise ValueError("windows of at least 100 samples")

    with pytest.raises(BadConfig, match=r"cannot be made for n_chans 5, .*: windows of at least 100 samples"):
        as_system(TooLong, "a.py:TooLong")(CONFIG).fit(store, train, y[train])

    class Without(nn.Module):
        def __init__(self, n_chans):
            super().__init__()

        def forward(self, x):
            return x

    with pytest.raises(BadConfig, match=r"no parameter n_outputs"):
        as_system(Without, "a.py:Without")

    class Needs(nn.Module):
        def __init__(self, n_outputs, depth):
            super().__init__()

        def forward(self, x):
            return x

    with pytest.raises(BadConfig, match=r"parameter depth has no default"):
        as_system(Needs, "a.py:Needs")


@pytest.mark.journey
def test_a_system_of_a_module_may_say_how_it_is_made(store, sides):
    class Own(ModuleSystem):
        """Of a test."""

        def module(self, shape):
            return nn.Sequential(nn.Flatten(), nn.Linear(shape.n_channels * shape.n_samples, shape.n_outputs))

    train, y, test = sides
    fitted = Own(CONFIG).fit(store, train, y[train])
    assert np.isfinite(fitted.predict_proba(store, test)).all()


# --- functions and commands ---


def nearest_mean(train, y, test, seed, power=1.0):
    """Of a test."""
    of = [train.signals.std(axis=2)[y == k].mean(axis=0) for k in (0, 1)]
    away = [((test.signals.std(axis=2) - each) ** 2).sum(axis=1) for each in of]
    return away[0] ** power / (away[0] ** power + away[1] ** power)


def test_a_function_is_called_with_arrays(store, sides, tmp_path):
    train, y, test = sides
    made = as_system(nearest_mean, "a.py:nearest_mean")
    fitted = made(replace(CONFIG, options={"power": 2.0})).fit(store, train, y[train])
    expected = nearest_mean(read_inputs(store, train, "bio"), y[train], read_inputs(store, test, "bio"), 0, power=2.0)
    np.testing.assert_array_equal(fitted.predict_proba(store, test), expected)
    fitted.save(tmp_path / "model")
    with pytest.raises(BadModel, match=r"predictions of a function alone"):
        made.load(tmp_path / "model", CONFIG)
    with pytest.raises(BadConfig, match=r"parameters train, y, test.*found one without y, test"):
        as_system(lambda train: train, "a.py:f")


@pytest.mark.parametrize(
    ("predicted", "message"),
    [
        (lambda train, y, test: np.full(len(test), np.nan), "probabilities from 0 to 1, found nan for window 0 of 24"),
        (lambda train, y, test: np.full(len(test), 1.5), "found 1.5"),
        (lambda train, y, test: np.zeros(3), r"expected predictions of shape \(24,\), found \(3,\)"),
        (lambda train, y, test: "no", "expected predictions of shape"),
    ],
)
def test_wrong_predictions_of_a_function_are_refused(predicted, message, store, sides):
    train, y, test = sides
    with pytest.raises(BadConfig, match=message):
        as_system(predicted, "a.py:f")(CONFIG).fit(store, train, y[train]).predict_proba(store, test)


PROGRAM = """
import json, sys
from pathlib import Path
import numpy as np
what, folder = sys.argv[1], Path(sys.argv[2])
x = np.load(folder / "inputs" / "signals.npy").std(axis=2)
about = json.loads((folder / "inputs" / "about.json").read_text())
assert about["task"] == "binary" and about["rate_hz"] == 32.0 and len(about["channels"]) == x.shape[1]
if what == "learn":
    lines = (folder / "inputs" / "y.csv").read_text().split()[1:]
    y = np.array([float(line.split(",")[0]) for line in lines])
    np.save(folder / "model" / "means.npy", np.stack([x[y == k].mean(axis=0) for k in (0, 1)]))
else:
    means = np.load(folder / "model" / "means.npy")
    away = ((x[:, None] - means) ** 2).sum(axis=2)
    np.savetxt(folder / "predictions.csv", away[:, 0] / away.sum(axis=1))
"""


@pytest.mark.journey
def test_a_command_learns_and_predicts_in_a_folder(store, sides, tmp_path):
    train, y, test = sides
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)

    class Program(CommandSystem):
        """Of a test."""

        command = (sys.executable, str(program))

    fitted = Program(CONFIG).fit(store, train[:48], y[train[:48]], validation=(train[48:], y[train[48:]]))
    expected = nearest_mean(read_inputs(store, train, "bio"), y[train], read_inputs(store, test, "bio"), 0)
    np.testing.assert_allclose(fitted.predict_proba(store, test), expected, rtol=1e-5)
    fitted.save(tmp_path / "model")
    assert [f.name for f in (tmp_path / "model").rglob("*.npy")] == ["means.npy"]
    again = Program.load(tmp_path / "model", CONFIG)
    np.testing.assert_array_equal(again.predict_proba(store, test), fitted.predict_proba(store, test))
    program.write_text("import sys\nsys.exit('no licence')\n")
    with pytest.raises(GbvnetError, match=r"learn: ended with 1: no licence"):
        Program(CONFIG).fit(store, train, y[train])

    class Absent(CommandSystem):
        """Of a test."""

        command = ("no-such-program-here",)

    with pytest.raises(GbvnetError, match=r"no-such-program-here learn: cannot be started: No such file"):
        Absent(CONFIG).fit(store, train, y[train])


@pytest.mark.journey
@pytest.mark.parametrize(
    ("task", "row", "expected"),
    [("multiclass", "0.2,0.3,0.5", [[0.2, 0.3, 0.5]]), ("binary", "0.25", [0.25]), ("regression", "4.5", [4.5])],
)
def test_a_command_may_predict_a_single_window(tmp_path, task, row, expected):
    class Program(CommandSystem):
        """Of a test."""

        command = ("sh", "-c", f'if [ "$0" = predict ]; then echo {row} > "$1/predictions.csv"; fi')

    system = Program(CONFIG)
    system._make_folder()
    classes = ("a", "b", "c") if task == "multiclass" else ()
    system.target = Target("valence", task, "", ("valence",), ((1.0, 9.0),), classes)
    inputs = Inputs(np.zeros((1, 1, 8), np.float32), None, None, (("Cz", "eeg"),), 32.0, np.array(["s01"]))
    np.testing.assert_array_equal(checked(system.apply(system.folder, inputs), 1, system), expected)
