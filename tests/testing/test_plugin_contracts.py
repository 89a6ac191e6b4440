"""Plug-ins by name through the contract: the examples, classes of scikit-learn, a function, and broken ones."""

from pathlib import Path

import pytest

from gbvnet.testing import ContractBroken, check_system

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.journey
@pytest.mark.parametrize(
    "name",
    [
        f"{EXAMPLES}/forest.py:Forest",
        f"{EXAMPLES}/conv_net.py:ConvNet",
        f"{EXAMPLES}/face_and_signals.py:FaceAndSignals",
        "sklearn.svm:SVC",
        "sklearn.linear_model:Ridge",
    ],
)
def test_a_plugin_keeps_the_contract(name):
    assert all(result.kept for result in check_system(name))


FUNCTION = """
import numpy as np

def spread(train, y, test, seed):
    of = [np.log(train.signals.std(axis=2))[y == k].mean(axis=0) for k in (0, 1)]
    away = [((np.log(test.signals.std(axis=2)) - each) ** 2).sum(axis=1) for each in of]
    return 1 / (1 + np.exp(away[1] - away[0]))

spread.modalities, spread.tasks = ("bio", "eeg"), ("binary",)
"""


@pytest.mark.journey
def test_a_function_keeps_it_without_a_model(tmp_path):
    (tmp_path / "function.py").write_text(FUNCTION)
    results = check_system(f"{tmp_path}/function.py:spread")
    assert all(result.kept for result in results) and not any("load" in result.promise for result in results)


BROKEN = """
import numpy as np
from gbvnet.systems.logreg import System

class {name}(System):
    modalities = ("bio",)
    tasks = ("binary",)

{body}
"""


@pytest.mark.journey
@pytest.mark.parametrize(
    ("name", "body", "promise"),
    [
        (
            "ReadsTestRows",
            "    def fit(self, store, rows, y, *, validation=None, seed=0):\n"
            "        store.read(range(len(store)), faces=False)\n"
            "        return super().fit(store, rows, y, validation=validation, seed=seed)\n",
            "fit reads its own rows only",
        ),
        (
            "NotDeterministic",
            "    def predict_proba(self, store, rows):\n"
            "        return np.random.default_rng().uniform(0.4, 0.6, len(rows))\n",
            "the same seed gives the same",
        ),
        (
            "ReturnsNaN",
            "    def predict_proba(self, store, rows):\n        return np.full(len(rows), np.nan)\n",
            "finite",
        ),
        (
            "WrongShape",
            "    def predict_proba(self, store, rows):\n        return np.full((len(rows), 2), 0.5)\n",
            "shape",
        ),
        (
            "ChangesItsInput",
            "    def fit(self, store, rows, y, *, validation=None, seed=0):\n"
            "        super().fit(store, rows, y, validation=validation, seed=seed)\n"
            "        y[:] = 0\n"
            "        return self\n",
            "fit changed y",
        ),
    ],
)
def test_a_broken_plugin_is_refused_with_the_reason(name, body, promise, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN.format(name=name, body=body))
    with pytest.raises(ContractBroken) as error:
        check_system(f"{tmp_path}/broken.py:{name}")
    assert name in str(error.value) and promise in str(error.value)
