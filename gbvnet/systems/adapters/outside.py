"""Systems whose learning is done by something else: Keras, R, a shell command.

A subclass of `OutsideSystem` learns into a folder and predicts from it. `CommandSystem` does both by a command:

    class InR(CommandSystem):
        command = ("Rscript", "model.R")

is called as `Rscript model.R learn FOLDER` and `Rscript model.R predict FOLDER`. FOLDER/inputs has signals.npy
(n, C, L), faces.npy (n, F, S, S, 3), face_ok.npy, about.json (channels, rate_hz, task, classes, scale, seed, options),
and for `learn` y.csv: a row a window with y, and side, which is train or validation. The command keeps what it learnt
in FOLDER/model, and writes FOLDER/predictions.csv without a header: a row a window, with p, the probabilities of all
classes, or the rating.
"""

import json
import shutil
import tempfile
import weakref
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from typing_extensions import override

from ...config import CrossvalConfig
from ...errors import BadConfig, BadModel, GbvnetError
from ...parallel.programs import run_program
from ...store.window_source import WindowSource
from .. import ALL_TASKS, BaseSystem
from ..learners.classical import require_modalities
from .inputs import Inputs, read_inputs

MODEL, INPUTS, PREDICTIONS = "model", "inputs", "predictions.csv"
SLICE = 2048  # windows that are predicted at once


class OutsideSystem(BaseSystem, new_hooks=True):
    """A system whose model is a folder of files that its own code writes and reads."""

    tasks: ClassVar[tuple[str, ...]] = ALL_TASKS

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self._folder: Path | None = None

    @abstractmethod
    def learn(self, folder: Path, inputs: Inputs, y: np.ndarray, is_validation: np.ndarray, seed: int) -> None:
        """Learn from n windows and their labels (n,), and keep what was learnt in an empty folder.

        is_validation : (n,) bool, the rows on which the epoch may be chosen
        """

    @abstractmethod
    def apply(self, folder: Path, inputs: Inputs) -> np.ndarray:
        """Return the predictions for n windows: p (n,), the probabilities of all classes (n, K), or ratings (n,)."""

    @property
    def folder(self) -> Path:
        """The folder of the model. Raises BadConfig before the training."""
        if self._folder is None:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        return self._folder

    def _make_folder(self) -> None:
        """Make an empty folder for the model, which is deleted with this object."""
        self._folder = Path(tempfile.mkdtemp(prefix="gbvnet-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @override
    def fit(
        self,
        store: WindowSource,
        rows: np.ndarray,
        y: np.ndarray,
        *,
        validation: tuple[np.ndarray, np.ndarray] | None = None,
        seed: int = 0,
    ) -> Self:
        rows, y = np.asarray(rows), np.asarray(y)
        n_train = len(rows)
        if y.ndim > 1:
            raise BadConfig(f"{self.name} learns one target at a time: leave joint out")
        if validation is not None:
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        require_modalities(store, rows, self.config)
        self._make_folder()
        inputs = read_inputs(store, rows, self.config.modality)
        self.learn(self.folder, inputs, y, np.arange(len(rows)) >= n_train, seed)
        return self

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        rows = np.asarray(rows)
        require_modalities(store, rows, self.config)
        parts = []
        for begin in range(0, len(rows), SLICE):
            inputs = read_inputs(store, rows[begin : begin + SLICE], self.config.modality)
            parts.append(checked(self.apply(self.folder, inputs), len(inputs), self))
        return np.concatenate(parts)

    @override
    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(self.folder, folder / MODEL, dirs_exist_ok=True)

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        system = cls(config)
        if not (folder / MODEL).is_dir():
            raise BadModel(folder, f"a trained {system.name}", f"no folder {MODEL}")
        system._make_folder()
        shutil.copytree(folder / MODEL, system.folder, dirs_exist_ok=True)
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {}


def checked(predicted: Any, n: int, system: BaseSystem) -> np.ndarray:
    """Return predictions as float64. Raises BadConfig for another shape, values that are no numbers, and probabilities
    outside of 0 to 1, with the first such window."""
    classes = len(system.target.classes) if system.target is not None and system.task == "multiclass" else 0
    wanted = (n, classes) if classes else (n,)
    try:
        values = np.asarray(predicted, np.float64)
    except (TypeError, ValueError) as error:
        raise BadConfig(f"{system.name}: expected predictions of shape {wanted}, found {error}") from None
    values = values[:, 0] if values.shape == (n, 1) and not classes else values
    if values.shape != wanted:
        raise BadConfig(f"{system.name}: expected predictions of shape {wanted}, found {values.shape}")
    bad = ~np.isfinite(values) if system.task == "regression" else ~((values >= 0) & (values <= 1))
    if bad.any():
        at = np.argwhere(bad)[0]
        kind = "finite numbers" if system.task == "regression" else "probabilities from 0 to 1"
        raise BadConfig(f"{system.name}: expected {kind}, found {values[tuple(at)]} for window {at[0]} of {n}")
    return values


class CommandSystem(OutsideSystem, new_hooks=True):
    """A system that is a command of another program; the module's text has what it reads and writes."""

    command: ClassVar[Sequence[str]] = ()  # what stands before `learn FOLDER` and `predict FOLDER`

    @override
    def learn(self, folder: Path, inputs: Inputs, y: np.ndarray, is_validation: np.ndarray, seed: int) -> None:
        self._write(folder, inputs, seed)
        sides = np.where(is_validation, "validation", "train")
        lines = ["y,side", *(f"{value},{side}" for value, side in zip(y.tolist(), sides, strict=True))]
        (folder / INPUTS / "y.csv").write_text("\n".join(lines) + "\n")
        (folder / MODEL).mkdir(exist_ok=True)
        self._run("learn", folder)
        shutil.rmtree(folder / INPUTS)

    @override
    def apply(self, folder: Path, inputs: Inputs) -> np.ndarray:
        with tempfile.TemporaryDirectory(prefix="gbvnet-") as name:
            copy = Path(name)
            shutil.copytree(folder, copy, dirs_exist_ok=True)
            self._write(copy, inputs, 0)
            self._run("predict", copy)
            try:
                return np.loadtxt(copy / PREDICTIONS, delimiter=",", ndmin=2)  # (n, 1) or (n, K), also of one window
            except (OSError, ValueError) as error:
                raise BadConfig(f"{self.name}: expected a row a window in {PREDICTIONS}, found {error}") from None

    def _write(self, folder: Path, inputs: Inputs, seed: int) -> None:
        into = folder / INPUTS
        into.mkdir(exist_ok=True)
        for name in ("signals", "faces", "face_ok"):
            array = getattr(inputs, name)
            if array is not None:
                np.save(into / f"{name}.npy", array, allow_pickle=False)
        target = self.target
        about = {
            "windows": len(inputs),
            "channels": inputs.channels,
            "rate_hz": inputs.rate_hz,
            "task": self.task,
            "classes": list(target.classes) if target else [],
            "scale": list(target.scale) if target and self.task == "regression" else None,
            "seed": seed,
            "options": asdict(self.options),
        }
        (into / "about.json").write_text(json.dumps(about, indent=2))

    def _run(self, what: str, folder: Path) -> None:
        """Raises GbvnetError if the command cannot be started or fails, with the end of what it wrote."""
        words = [*self.command, what, str(folder)]
        shown = " ".join([*self.command, what])
        try:
            done = run_program(words, {folder, self.folder})
        except OSError as error:
            raise GbvnetError(f"{self.name}: {shown}: cannot be started: {error.strerror or error}") from None
        if done.returncode:
            tail = " ".join((done.stderr or done.stdout).split())[-300:]
            raise GbvnetError(f"{self.name}: {shown}: ended with {done.returncode}: {tail or 'without a message'}")
