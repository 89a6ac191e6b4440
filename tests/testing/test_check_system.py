"""A system that keeps the contract passes; one that breaks a promise is refused for that promise, with a remedy.

Each broken system differs from the sound one in one place.
"""

import json
import pickle
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from gbvnet.config import uses_face, uses_signals
from gbvnet.errors import BadConfig, BadModel, GbvnetError
from gbvnet.store.channels import channels_of
from gbvnet.systems import BaseSystem
from gbvnet.testing import ContractBroken, SyntheticWindows, check_system
from gbvnet.testing.results import WORKS


class Sound(BaseSystem):
    """Least squares on the SD of each channel and the mean of each colour."""

    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass", "regression")

    @dataclass(frozen=True)
    class Options(BaseSystem.Options):
        ridge: float = 1e-3
        """penalty"""

    def _features(self, store, rows):
        faces, _, signals = store.read(rows)
        windows = store.windows.iloc[rows]
        parts = [np.ones((len(rows), 1))]
        if uses_face(self.config.modality):
            self._require(windows["has_face"])
            parts.append(faces.mean(axis=(1, 2, 3)) / 255)
        if uses_signals(self.config.modality):
            self._require(windows["has_signals"])
            parts.append(np.log(signals[:, channels_of(store, self.config.modality)].std(axis=2)))
        return np.concatenate(parts, axis=1)

    def _require(self, there):
        if not there.all():
            raise BadConfig(f"{(~there).sum()} windows lack a modality")

    def fit(self, store, rows, y, *, validation=None, seed=0):
        if y.ndim > 1:
            raise BadConfig("one target at a time")
        if validation is not None:
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        x = self._features(store, rows)
        wanted = y[:, None] == np.arange(len(self.target.classes)) if self.task == "multiclass" else y[:, None]
        gram = x.T @ x + self.options.ridge * np.eye(x.shape[1])
        self._weights = np.linalg.solve(gram, x.T @ wanted.astype(float))
        return self

    def predict_proba(self, store, rows):
        if not hasattr(self, "_weights"):
            raise BadConfig("not trained yet")
        return self._output(self._features(store, rows) @ self._weights)

    def _output(self, z):
        if self.task == "multiclass":
            e = np.exp(5 * z)
            return e / e.sum(axis=1, keepdims=True)
        return np.clip(z[:, 0], *(self.target.scale if self.task == "regression" else (0, 1)))

    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": np.ascontiguousarray(self._weights)}, folder / "model.safetensors")

    @classmethod
    def load(cls, folder, config):
        made = cls(config)
        try:
            made._weights = load_file(folder / "model.safetensors")["weights"]
        except (OSError, SafetensorError, KeyError) as error:
            raise BadModel(folder, "a model", str(error)) from None
        return made

    @property
    def about(self):
        return {"n_parameters": int(self._weights.size)}


KEPT = {}  # of SavesNothing
QUICK = dict(modalities=("bio",), learns=False)


def broken(system_class, **settings):
    results = check_system(system_class, raise_on_error=False, **(QUICK | settings))
    return {result.promise: result.happened for result in reversed(results) if not result.kept}  # the first of each


@pytest.mark.journey
def test_a_sound_system_keeps_every_promise():
    results = check_system(Sound)
    assert all(result.kept for result in results) and len(results) > 150
    assert {result.promise for result in results} >= {"learns", "no pickle", "several targets", "damage is noticed"}
    cases = {result.case for result in results}
    assert {"task multiclass, modality facebio", "task regression, modality facebio"} <= cases
    assert {f"task binary, modality {modality}" for modality in ("face", "bio", "eeg", "peri", "faceeeg")} <= cases


@pytest.mark.journey
def test_a_reference_by_name_is_checked_too():
    assert check_system("ridge", **QUICK)
    with pytest.raises(BadConfig, match="no system rigde; did you mean ridge"):
        check_system("rigde")


# ---------------------------------------------------------------- what it reads


class ReadsOtherRows(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        store.read(np.arange(len(store)), faces=False)
        return super().fit(store, rows, y, validation=validation, seed=seed)


class ReadsBaselines(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        for name in store.recordings["recording"]:
            store.baseline(name)
        return super().fit(store, rows, y, validation=validation, seed=seed)


class ScalesByAllRows(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        self._scale = store.read(np.arange(len(store)), faces=False)[2].std()
        return super().fit(store, rows, y, validation=validation, seed=seed)

    def _output(self, z):
        return np.clip(super()._output(z) - 1e-4 * getattr(self, "_scale", 0), 0, 1)


class LearnsLabelsOfTheTable(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        super().fit(store, rows, y, validation=validation, seed=seed)
        labels = store.windows["valence"].to_numpy()
        self._weights[0] += (
            0.01 * float(labels @ np.linspace(0, 1, len(labels))) / len(labels)
        )  # of the constant feature
        return self


class PredictsByLabels(Sound):
    tasks = ("binary",)

    def predict_proba(self, store, rows):
        p = super().predict_proba(store, rows)
        return np.clip(p + 0.1 * (store.windows["valence"].iloc[rows] > 5).to_numpy(), 0, 1)


@pytest.mark.journey
def test_a_system_that_reads_test_rows_is_refused():
    happened = broken(ReadsOtherRows)
    assert set(happened) == {"fit reads its own rows only"}
    assert happened["fit reads its own rows only"] == "it read 40 other rows, 40 of them test rows, the first is row 0"
    assert set(broken(ReadsBaselines)) == {"fit reads its own rows only"}


@pytest.mark.journey
def test_a_system_that_learns_from_test_rows_is_refused():
    happened = broken(ScalesByAllRows)
    assert {"fit reads its own rows only", "fit learns from its own rows only"} <= set(happened)
    assert "with other signals, faces and labels in the other rows" in happened["fit learns from its own rows only"]


@pytest.mark.journey
def test_labels_of_the_table_are_not_for_learning_and_not_for_prediction():
    assert set(broken(LearnsLabelsOfTheTable)) == {"fit learns from its own rows only"}
    assert set(broken(PredictsByLabels)) == {"predictions know no labels"}


# ---------------------------------------------------------------- what it returns


class ReturnsNaN(Sound):
    def _output(self, z):
        p = super()._output(z)
        p[0] = np.nan
        return p


class ReturnsColumns(Sound):
    def _output(self, z):
        return super()._output(z)[:, None]


class ReturnsFloat32(Sound):
    def _output(self, z):
        return super()._output(z).astype(np.float32)


class ReturnsLogits(Sound):
    def _output(self, z):
        return 10 * super()._output(z)


class ReturnsUnequalSums(Sound):
    def _output(self, z):
        return super()._output(z) / 2


class ReturnsAList(Sound):
    def _output(self, z):
        return super()._output(z).tolist()


class AnswersOnePlace(Sound):
    tasks = ("binary",)

    def predict(self, store, rows):
        return super().predict(store, rows)._replace(gate_face=np.full(len(rows), 2.0))


@pytest.mark.journey
@pytest.mark.parametrize(
    ("system_class", "promise", "happened"),
    [
        (ReturnsNaN, "output", "1 of 40 values are NaN or infinite"),
        (ReturnsColumns, "output", "expected shape (40,), found (40, 1)"),
        (ReturnsFloat32, "output", "expected float64, found float32"),
        (ReturnsLogits, "output", "expected values from 0 to 1, found 0"),
        (ReturnsUnequalSums, "output", "expected probabilities that sum to 1, found sums from 0.5 to 0.5"),
        (ReturnsAList, "output", "expected an array of shape (40,), found list"),
        (AnswersOnePlace, "predict agrees with predict_proba", "gate_face is from 2 to 2"),
    ],
)
def test_wrong_output_is_refused(system_class, promise, happened):
    results = check_system(system_class, raise_on_error=False, **QUICK)
    assert any(r.promise == promise and (r.happened or "").startswith(happened) for r in results), results


# ---------------------------------------------------------------- how it behaves


class DependsOnTheBatch(Sound):
    def _output(self, z):
        return super()._output(z - z.mean(axis=0) + 0.5)


class DependsOnOrder(Sound):
    tasks = ("binary",)

    def _output(self, z):
        return np.clip(super()._output(z) * np.linspace(0.5, 1, len(z)), 0, 1)


class DrawsGlobally(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        super().fit(store, rows, y, validation=validation, seed=seed)
        self._weights = self._weights + 0.01 * np.random.normal(size=self._weights.shape)  # noqa: NPY002
        return self


class DrawsWithoutSeed(DrawsGlobally):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        Sound.fit(self, store, rows, y, validation=validation, seed=seed)
        self._weights = self._weights + 0.01 * np.random.default_rng().normal(size=self._weights.shape)
        return self


class SetsTheGlobalSeed(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        torch.manual_seed(seed)
        return super().fit(store, rows, y, validation=validation, seed=seed)


class UsesItsFolder(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        super().fit(store, rows, y, validation=validation, seed=seed)
        self._weights = self._weights * (0.9 if self.work else 1)
        return self


class RemembersTheLastFit(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        before = getattr(self, "_weights", 0)
        super().fit(store, rows, y, validation=validation, seed=seed)
        self._weights = self._weights + 0.1 * before
        return self


class ChangesItsLabels(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        super().fit(store, rows, y, validation=validation, seed=seed)
        y[:] = 0
        return self


class ChangesTheTable(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        store.windows["own"] = 1
        return super().fit(store, rows, y, validation=validation, seed=seed)


class ReturnsNothing(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        super().fit(store, rows, y, validation=validation, seed=seed)


class NeedsValidation(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        assert validation is not None, "no validation"
        return super().fit(store, rows, y, validation=validation, seed=seed)


class CountsZeros(Sound):
    def _require(self, there):
        pass

    def _features(self, store, rows):
        x = super()._features(store, rows)
        return np.where(np.isfinite(x), x, 0)


class NeedsFaces(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        self._side = 1 / store.settings["face_side"]
        return super().fit(store, rows, y, validation=validation, seed=seed)


class TakesTwoTargets(Sound):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        one = validation if validation is None or y.ndim == 1 else (validation[0], validation[1][:, 0])
        return super().fit(store, rows, y if y.ndim == 1 else y[:, 0], validation=one, seed=seed)


class CannotSeeFaces(Sound):
    def _features(self, store, rows):
        if uses_face(self.config.modality):
            raise ValueError("what is a face?")
        return super()._features(store, rows)


class CountsItsClasses(Sound):
    def _output(self, z):
        return (
            super()._output(z)[:, : getattr(self, "_present", 3)] if self.task == "multiclass" else super()._output(z)
        )

    def fit(self, store, rows, y, *, validation=None, seed=0):
        self._present = len(np.unique(y))
        return super().fit(store, rows, y, validation=validation, seed=seed)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("system_class", "promise", "happened"),
    [
        (DependsOnTheBatch, "windows are predicted one by one", "predicted in two parts, "),
        (DependsOnOrder, "windows are predicted one by one", "predicted in two parts, "),
        (DrawsGlobally, "global random states have no effect", "with other global random states, "),
        (DrawsWithoutSeed, "the same seed gives the same", "trained a second time, "),
        (SetsTheGlobalSeed, "global random states are not set", "fit sets that of torch"),
        (UsesItsFolder, "a folder for work changes nothing", "with a folder for work, "),
        (RemembersTheLastFit, "training again forgets", "trained on other labels before, "),
        (ChangesItsLabels, "inputs stay as they are", "fit changed y"),
        (ChangesTheTable, "inputs stay as they are", "fit changed store.windows"),
        (ReturnsNothing, "fit returns the system", "it returned None"),
        (NeedsValidation, WORKS, "AssertionError: no validation"),
        (CountsZeros, "missing modalities", "with other values in place of the zeros"),
        (NeedsFaces, "missing modalities", "of a store without faces: ZeroDivisionError: division by zero"),
        (TakesTwoTargets, "several targets", "expected shape (40, 2), found (40,)"),
        (CountsItsClasses, "a class that does not occur", "without class 0: expected shape (40, 3), found (40, 2)"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_a_system_that_breaks_one_promise_is_refused_for_it(system_class, promise, happened):
    others = {"modalities": ("facebio",)} if system_class in (CountsZeros, NeedsFaces) else {}
    failed = broken(system_class, **others)
    assert failed[promise].startswith(happened)
    assert len(failed) == 1, failed


@pytest.mark.journey
def test_a_modality_that_does_not_work_is_named():
    with pytest.raises(ContractBroken) as caught:
        check_system(CannotSeeFaces, modalities=("eeg", "face"), learns=False)
    broken_results = [result for result in caught.value.results if not result.kept]
    assert [(result.promise, result.case) for result in broken_results] == [(WORKS, "task binary, modality face")]
    assert broken_results[0].happened.startswith("ValueError: what is a face? (test_check_system.py, line ")


# ---------------------------------------------------------------- what it writes


class WritesAPickle(Sound):
    def save(self, folder):
        super().save(folder)
        (folder / "scaler.bin").write_bytes(pickle.dumps({"a": [1, 2]}))


class WritesTorch(Sound):
    def save(self, folder):
        super().save(folder)
        torch.save({"a": torch.zeros(2)}, folder / "network.weights")


class WritesObjects(Sound):
    def save(self, folder):
        super().save(folder)
        np.savez(folder / "arrays.npz", names=np.array([{"a": 1}], object))


class SavesHalfPrecision(Sound):
    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file({"weights": self._weights.astype(np.float16)}, folder / "model.safetensors")


class LoadsAnything(Sound):
    @classmethod
    def load(cls, folder, config):
        made = cls(config)
        made._weights = load_file(folder / "model.safetensors")["weights"]
        return made


class SavesNothing(Sound):
    def save(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        KEPT["weights"] = self._weights

    @classmethod
    def load(cls, folder, config):
        made = cls(config)
        made._weights = KEPT["weights"]
        return made


class WritesOddJSON(Sound):
    @property
    def about(self):
        return {"n_parameters": self._weights.size * np.int64(1)}


class AcceptsAnyOption(Sound):
    def __init__(self, config, work=None, label=""):
        self.config, self.work, self.label, self.options = config, work, label, self.Options()


class PredictsUntrained(Sound):
    def predict_proba(self, store, rows):
        if not hasattr(self, "_weights"):
            return np.full(len(rows), 0.5)
        return super().predict_proba(store, rows)


@pytest.mark.journey
@pytest.mark.parametrize(
    ("system_class", "promise", "happened"),
    [
        (WritesAPickle, "no pickle", "save wrote scaler.bin (a pickle)"),
        (WritesTorch, "no pickle", "save wrote network.weights (an archive with "),
        (WritesObjects, "no pickle", "save wrote arrays.npz (an archive with names.npy, a NumPy array of objects)"),
        (SavesHalfPrecision, "saved and loaded", "after loading, "),
        (LoadsAnything, "damage is noticed", "an empty folder: load raised FileNotFoundError"),
        (SavesNothing, "damage is noticed", "an empty folder: load returned a system"),
        (WritesOddJSON, "about", "{'n_parameters': "),
        (AcceptsAnyOption, "unknown options are refused", "the option no_such_option was accepted"),
        (PredictsUntrained, "untrained systems say so", "it returned array([0.5"),
    ],
)
def test_wrong_files_options_and_descriptions_are_refused(system_class, promise, happened):
    failed = broken(system_class)
    assert set(failed) == {promise} and failed[promise].startswith(happened)


# ---------------------------------------------------------------- what it declares


class KnowsSmell(Sound):
    modalities = ("smell",)


class KnowsNothing(Sound):
    tasks = ()


class HasOneName(Sound):
    modalities = "bio"


class NeedsAnOption(Sound):
    @dataclass(frozen=True)
    class Options:
        ridge: float
        names: list = field(default_factory=list)


class Unfinished(BaseSystem):
    def fit(self, store, rows, y, *, validation=None, seed=0):
        return self


@pytest.mark.parametrize(
    ("system_class", "happened"),
    [
        (KnowsSmell, "modalities has smell; there are facebio, face, "),
        (KnowsNothing, "tasks is (), expected a tuple of names"),
        (HasOneName, "modalities is 'bio', expected a tuple of names"),
        (NeedsAnOption, "options without a default: ridge"),
        (Unfinished, "about, load, predict_proba, save are not implemented"),
        (dict, "<class 'dict'> is not a class derived from gbvnet.systems.BaseSystem"),
        (3, "3 is not a class derived"),
    ],
)
def test_a_wrong_declaration_is_refused_before_anything_is_trained(system_class, happened):
    assert broken(system_class)["interface"].startswith(happened)


class LearnsNothing(Sound):
    def _output(self, z):
        return super()._output(0 * z)


@pytest.mark.journey
def test_a_system_that_learns_nothing_is_refused_unless_that_is_allowed():
    results = check_system(LearnsNothing, modalities=("bio",), raise_on_error=False)
    assert {result.promise for result in results if not result.kept} == {"learns"}
    assert next(r.happened for r in results if not r.kept) == (
        "the AUC of 40 test windows is 0.50, expected at least 0.75"
    )
    assert check_system(LearnsNothing, **QUICK)


@pytest.mark.journey
def test_the_error_lists_every_broken_promise_with_contract_and_remedy():
    with pytest.raises(ContractBroken) as caught:
        check_system(WritesAPickle, **QUICK)
    text = str(caught.value)
    first, *_ = text.splitlines()
    assert first.endswith(
        "test_check_system:WritesAPickle breaks the contract of systems: 3 of " + first.split()[-3] + " checks failed"
    )
    assert "1. no pickle (task binary, modality bio)\n   contract: a model folder holds no pickle" in text
    assert "\n   happened: save wrote scaler.bin (a pickle)\n   remedy:   save arrays with safetensors" in text
    assert isinstance(caught.value, AssertionError) and isinstance(caught.value, GbvnetError)
    again = pickle.loads(pickle.dumps(caught.value))
    assert str(again) == text and again.results == caught.value.results
    assert json.dumps([vars(result) for result in again.results])


@pytest.mark.journey
def test_a_system_that_needs_other_windows_is_checked_on_those():
    windows = SyntheticWindows(channels=(("C3", "eeg"), ("C4", "eeg")), effect_channels=("C3",), samples=128, frames=0)
    assert check_system(Sound, modalities=("eeg",), windows=windows)


@pytest.mark.journey
def test_it_needs_no_pytest():
    code = "import sys, gbvnet.testing as t; t.check_system('majority', learns=False); print('pytest' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.journey
def test_no_file_is_left_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    check_system(Sound, **QUICK)
    assert list(Path(tmp_path).iterdir()) == []
