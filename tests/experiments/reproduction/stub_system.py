"""A system that takes no time, in the place of every other, for tests of how runs are planned and reported."""

import numpy as np
import pandas as pd

from gbvnet.errors import GbvnetError
from gbvnet.experiments import crossval
from gbvnet.experiments.reproduction import runtime_estimate
from gbvnet.experiments.reproduction.runtime_estimate import Throughput
from gbvnet.network import complexity
from gbvnet.systems import SystemOutput


class StubSystem:
    """Predicts from the SD of the second channel, and leaves a history as a network does."""

    fitted = 0
    fail_on: tuple[int, ...] = ()
    about = {"n_parameters": 7, "chosen_epoch": 2, "device": "cpu"}  # noqa: RUF012

    def __init__(self, config, work=None, label=""):
        self.config, self.work = config, work

    @classmethod
    def import_for_training(cls):
        pass

    def fit(self, store, rows, y, *, validation=None, seed=0):
        StubSystem.fitted += 1
        if StubSystem.fitted in StubSystem.fail_on:
            raise GbvnetError("out of luck")
        history = pd.DataFrame({"epoch": [1, 2, 3], "train_loss": [0.7, 0.6, 0.5], "train_accuracy": [0.5, 0.6, 0.7]})
        history = history.assign(
            **{"inner_loss": [0.7, 0.65, 0.66], "inner_accuracy": [0.5, 0.6, 0.6], "seconds": 0.01}
        )
        history.to_csv(self.work / "history.csv", index=False)
        return self

    def predict(self, store, rows):
        loud = store.read(rows, faces=False)[2][:, 1].std(axis=1) - 10
        noise = np.random.default_rng(len(self.config.modality)).normal(size=len(rows))
        return SystemOutput(1 / (1 + np.exp(-loud - 2 * noise)))

    def save(self, folder):
        folder.mkdir()


def use_stub(patch):
    """Replace every system by the stub, and measure costs on as little as possible."""
    for module in (crossval, runtime_estimate):
        patch.setattr(module, "system", lambda name: StubSystem)
    patch.setattr("gbvnet.parallel.tasks.available_cores", lambda: 1)
    patch.setattr(StubSystem, "fitted", 0)
    for name, value in (("RUNS", 1), ("MIN_RUNS", 1), ("BATCH", 4)):
        patch.setattr(complexity, name, value)


THROUGHPUT = Throughput(
    window_s=0.01, training_s=2.0, test_s=0.005, read_s=0.001, window_bytes=1000, n_parameters=500, epochs=True,
    device="cpu",
)  # fmt: skip
