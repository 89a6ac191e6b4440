"""Estimators of scikit-learn as systems.

A subclass says which estimator, and may say which features:

    class Forest(EstimatorSystem):
        def estimator(self):
            return RandomForestClassifier(n_estimators=300)

        def features(self, inputs):
            return inputs.signals.std(axis=2)

A class of scikit-learn that is named as it is (`--system sklearn.ensemble:RandomForestClassifier`) learns from z-scored
spectral features, with its constructor's parameters as options. A model is saved by skops: no pickle.

Shapes: n windows, C channels, L samples, D features, K classes.
"""

import logging
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from scipy.special import expit, softmax
from sklearn.dummy import DummyClassifier
from typing_extensions import override

from ...config import CrossvalConfig
from ...errors import BadConfig, BadModel
from ...evaluation.labels import has_one_class
from ...io.atomic import atomic_write
from ...store.window_source import WindowSource
from .. import BaseSystem
from ..features.extract import spectral_features
from ..learners.classical import require_modalities
from .constructor_options import options_of, values_of
from .inputs import Inputs, read_inputs

log = logging.getLogger(__name__)

FILE, REASON_FILE = "model.skops", "not_saved.txt"
SLICE = 256  # windows whose arrays are in memory at once
TRUSTED = ("numpy", "scipy", "sklearn")  # packages whose types a saved model may hold, beside the plug-in's own


class EstimatorSystem(BaseSystem, new_hooks=True):
    """A system that fits one estimator a target on features of windows, on training and validation rows together.

    An estimator's `random_state`, if it has one that is None, becomes the seed.
    """

    tasks: ClassVar[tuple[str, ...]] = ("binary", "multiclass")
    refused_tasks: ClassVar[str] = "its estimator does not"

    def __init__(self, config: CrossvalConfig, work: Path | None = None, label: str = ""):
        super().__init__(config, work, label)
        self._fitted: list[Any] = []  # one a target

    @abstractmethod
    def estimator(self) -> Any:
        """Return the estimator for `self.task`, not fitted: a classifier, or of task regression a regressor."""

    @classmethod
    @override
    def face_input_of(cls, config: CrossvalConfig) -> str:
        """Return either for features of this package, which read what there is; else what the class declares."""
        return "either" if cls.features is EstimatorSystem.features else cls.face_input

    def features(self, inputs: Inputs) -> np.ndarray:
        """Return the features (n, D) of n windows; each window's own, whatever others come with it.

        Without an implementation, `vectors` has the features.
        """
        raise NotImplementedError

    def vectors(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """Return the features (n, D) of rows of a store: those of `features`, if the class has it; else mean, log SD
        and log power in five bands of each channel, and the face as a thumbnail."""
        if type(self).features is EstimatorSystem.features:
            return spectral_features(store, rows, self.config.modality)
        parts = []
        for begin in range(0, len(rows), SLICE):
            inputs = read_inputs(store, rows[begin : begin + SLICE], self.config.modality)
            part = np.asarray(self.features(inputs))
            if part.ndim != 2 or len(part) != len(inputs):
                wanted = f"features of shape ({len(inputs)}, D) of {len(inputs)} windows"
                raise BadConfig(f"{self.name}: expected {wanted}, found shape {part.shape}")
            parts.append(part)
        return np.concatenate(parts)

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
        if validation is not None:
            rows, y = np.concatenate([rows, validation[0]]), np.concatenate([y, validation[1]])
        x = self._features(store, rows)
        self._fitted = [self._fit_target(x, target, seed) for target in y.reshape(len(y), -1).T]
        return self

    def _fit_target(self, x: np.ndarray, y: np.ndarray, seed: int) -> Any:
        if self.task != "regression" and has_one_class(y):  # which many classifiers refuse
            return DummyClassifier().fit(x, y)
        return _seeded(self.estimator(), seed).fit(x, y)

    @override
    def predict_proba(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        if not self._fitted:
            raise BadConfig(f"this {self.name} is not trained yet: call fit or load first")
        rows = np.asarray(rows)
        x = self._features(store, rows)
        predicted = [self._predicted(estimator, x) for estimator in self._fitted]
        return predicted[0] if len(predicted) == 1 else np.stack(predicted, axis=1)

    def _features(self, store: WindowSource, rows: np.ndarray) -> np.ndarray:
        """The features of rows, (n, D) float64: in float32 the last digits of a prediction would depend on n."""
        require_modalities(store, rows, self.config)
        return np.asarray(self.vectors(store, rows), np.float64)

    def _predicted(self, estimator: Any, x: np.ndarray) -> np.ndarray:
        """The prediction of one target: (n,), or (n, K) of task multiclass."""
        if self.task == "regression":
            rating = np.asarray(estimator.predict(x), np.float64).reshape(len(x))
            return np.clip(rating, *self.target.scale) if self.target else rating
        p = probabilities(estimator, x)  # (n, k) of the classes that occurred
        if self.task == "binary":
            return p[:, 1] if p.shape[1] == 2 else np.full(len(x), float(estimator.classes_[0]))
        all_classes = np.zeros((len(x), len(self.target.classes) if self.target else int(estimator.classes_.max()) + 1))
        all_classes[:, np.asarray(estimator.classes_, int)] = p
        return all_classes

    @override
    def save(self, folder: Path) -> None:
        """Save the estimators with skops; what it cannot save is not saved, and the reason stands in the folder."""
        import skops.io

        folder.mkdir(parents=True, exist_ok=True)
        try:
            content = skops.io.dumps(self._fitted)
        except Exception as error:  # whatever a type of the user's raises when it is taken apart
            log.warning("%s: the model is not saved: %s", self.name, error)
            atomic_write(folder / REASON_FILE, f"{type(error).__name__}: {error}\n".encode())
            return
        atomic_write(folder / FILE, content)

    @classmethod
    @override
    def load(cls, folder: Path, config: CrossvalConfig) -> Self:
        import skops.io

        system, file = cls(config), folder / FILE
        expected = f"a trained {system.name}"
        if (folder / REASON_FILE).exists():
            reason = (folder / REASON_FILE).read_text(errors="replace").strip()
            raise BadModel(folder, expected, f"one that could not be saved ({reason})")
        try:
            content = file.read_bytes()
            types = skops.io.get_untrusted_types(data=content)
            other = [name for name in types if not _is_trusted(name, cls)]
            if other:
                remedy = "Load it only with the code that made it."
                raise BadModel(file, f"{expected}, with types of its own alone", ", ".join(other[:3]), remedy)
            system._fitted = list(skops.io.loads(content, trusted=types))
        except BadModel:
            raise
        except Exception as error:  # a damaged archive can raise anything
            raise BadModel(file, expected, f"a file that does not read ({error})") from None
        return system

    @property
    @override
    def about(self) -> dict[str, Any]:
        return {}


def _seeded(estimator: Any, seed: int) -> Any:
    """The estimator with the seed as every random_state that is None, in pipelines too."""
    if hasattr(estimator, "get_params"):
        free = [n for n, v in estimator.get_params().items() if v is None and n.split("__")[-1] == "random_state"]
        estimator.set_params(**dict.fromkeys(free, seed))
    return estimator


def probabilities(estimator: Any, x: np.ndarray) -> np.ndarray:
    """Return the probabilities (n, k) of an estimator's classes: its own, or the logistic (softmax) of its decision
    values, or 0 and 1 by its decision."""
    if hasattr(estimator, "predict_proba"):
        return np.asarray(estimator.predict_proba(x), np.float64)
    if hasattr(estimator, "decision_function"):
        value = np.asarray(estimator.decision_function(x), np.float64)
        if value.ndim == 2:
            return softmax(value, axis=1)
        return np.stack([1 - expit(value), expit(value)], axis=1)
    return (np.asarray(estimator.predict(x))[:, None] == np.asarray(estimator.classes_)).astype(np.float64)


def _is_trusted(type_name: str, system: type) -> bool:
    """Whether a saved model may hold this type: of the numerical packages, or of a package that the plug-in is of or
    whose estimator it is."""
    own = {base.__module__.partition(".")[0] for base in system.__mro__ if not base.__module__.startswith("gbvnet.")}
    own |= {getattr(system, "_package", "")}
    return type_name.partition(".")[0] in {*TRUSTED, *(own - {"", "builtins", "abc", "typing"})}


# --- a class of scikit-learn as it is ---


def system_of_estimator(plugin: type, name: str) -> type[BaseSystem]:
    """Return a system for a class of an estimator, whose constructor's plain parameters are the options."""
    from sklearn.base import is_regressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    options = options_of(plugin, name, given=("random_state",))
    try:
        regressor = is_regressor(plugin())
    except Exception as error:  # of the user's class
        raise BadConfig(f"{name}: cannot be made without arguments ({type(error).__name__}: {error})") from None

    class Named(EstimatorSystem):
        """An estimator after StandardScaler, on spectral features."""

        modalities = ("bio", "eeg", "peri", "facebio", "face", "faceeeg", "faceperi")
        tasks = ("regression",) if regressor else ("binary", "multiclass")
        refused_tasks = "it is a regressor" if regressor else "it is a classifier"
        _package = plugin.__module__.partition(".")[0]
        Options = options  # type: ignore[assignment]

        @override
        def estimator(self) -> Any:
            return make_pipeline(StandardScaler(), plugin(**values_of(self.options)))

    Named.__name__ = Named.__qualname__ = plugin.__name__
    return Named
