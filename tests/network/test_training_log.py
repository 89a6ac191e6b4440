"""A training is logged as it was, once an epoch, whether or not it was stopped; and is the same training as without.

CSV and TensorBoard are the real ones; Weights & Biases and MLflow are stood for by what Lightning's loggers call.
"""

import csv
import importlib.machinery
import json
import os
import subprocess
import sys
import types
from dataclasses import replace
from importlib.util import find_spec

import lightning.pytorch.loggers as lightning_loggers
import numpy as np
import pytest
import yaml

from gbvnet.config import CompareConfig, CrossvalConfig, ModelConfig, TrainConfig, from_dict, to_dict
from gbvnet.errors import BadConfig
from gbvnet.experiments.compare import compare
from gbvnet.experiments.crossval import cross_validate
from gbvnet.experiments.run_folder import config_digest
from gbvnet.network import lightning_module, training_log
from gbvnet.network.training_log import METRICS, require_logger
from gbvnet.systems import system
from gbvnet.testing import SyntheticStore

from ..synthetic_store import write_store

CONFIG = CrossvalConfig(
    system="gbvnet",
    target="valence",
    modality="bio",
    folds=2,
    model=ModelConfig(variant="micro"),
    train=TrainConfig(epochs=4, batch_size=16, device="cpu"),
)
STORE = SyntheticStore()
Y = (STORE.windows["valence"] >= 5).to_numpy().astype(int)
KINDS = ("csv", "tensorboard", "wandb", "mlflow")


def logged_by(kind, **settings):
    return replace(CONFIG, train=replace(CONFIG.train, logger=kind, **settings))


def train(config, work):
    made = system(config.system)(config, work=work)
    made.fit(STORE, np.arange(60), Y[:60], validation=(np.arange(60, 90), Y[60:90]), seed=1)
    return made.predict_proba(STORE, np.arange(90, 120))


# ---------------------------------------------------------------- what stands for the two packages


class Run:
    """A run of Weights & Biases."""

    def __init__(self, settings, summary):
        self.settings, self.summary, self.rows, self.config, self.exit_code = settings, summary, [], {}, None

    def define_metric(self, name, **others):
        pass

    def finish(self, exit_code):
        self.exit_code = exit_code


class WandbLogger:
    def __init__(self, experiment):
        self.experiment = experiment

    def log_hyperparams(self, params):
        self.experiment.config.update(params)

    def log_metrics(self, metrics, step):
        self.experiment.rows.append(metrics | {"step": step})
        self.experiment.summary["trainer/global_step"] = step

    def save(self):
        pass

    def finalize(self, status):
        pass


class MLFlowLogger:
    runs: dict = {}  # noqa: RUF012  id -> its rows, parameters and status

    def __init__(self, run_id, **settings):
        self.settings, self.run_id, self.experiment = settings, run_id or f"run{len(self.runs)}", self
        self.run = self.runs.setdefault(self.run_id, {"rows": [], "settings": settings})

    def get_metric_history(self, run_id, name):
        return [types.SimpleNamespace(step=row["step"]) for row in self.runs[run_id]["rows"]]

    def log_hyperparams(self, params):
        self.run["params"] = params

    def log_metrics(self, metrics, step):
        self.run["rows"].append(metrics | {"step": step})

    def save(self):
        pass

    def finalize(self, status):
        self.run["status"] = status


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """Both packages are installed; returns the runs that each began, by its name."""
    begun, servers, mlflow_runs = [], {}, {}

    def init(**settings):
        online = settings["mode"] == "online"
        run = Run(settings, servers.setdefault(settings["id"], {}) if online else {})
        begun.append(run)
        return run

    for name in ("wandb", "mlflow"):
        module = types.ModuleType(name)
        module.__spec__ = importlib.machinery.ModuleSpec(name, None)
        monkeypatch.setitem(sys.modules, name, module)
    sys.modules["wandb"].init = init
    monkeypatch.setattr(lightning_loggers, "WandbLogger", WandbLogger)
    monkeypatch.setattr(lightning_loggers, "MLFlowLogger", MLFlowLogger)
    monkeypatch.setattr(MLFlowLogger, "runs", mlflow_runs)
    for name in [name for name in os.environ if name.startswith(("WANDB_", "MLFLOW_"))]:
        monkeypatch.delenv(name)
    yield {"wandb": begun, "mlflow": mlflow_runs}
    for name in ("WANDB_SILENT", "WANDB_ERROR_REPORTING", "MLFLOW_LOGGING_LEVEL", "MLFLOW_DISABLE_TELEMETRY"):
        os.environ.pop(name, None)


def rows_in(kind, work, packages):
    """What was logged: a dict of metrics an epoch, its number under "step"."""
    if kind == "csv":
        with open(work / "csv" / "metrics.csv", newline="") as file:
            return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]
    if kind == "tensorboard":
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(work / "tensorboard"))
        events.Reload()
        rows: dict = {}
        for tag in events.Tags()["scalars"]:
            for event in events.Scalars(tag):
                row = rows.setdefault(event.step, {"step": event.step})
                assert tag not in row, f"step {event.step} of {tag} is there twice"
                row[tag] = event.value
        return list(rows.values())
    if kind == "wandb":
        runs = packages["wandb"]
        online = runs[-1].settings["mode"] == "online"
        return [row for run in (runs if online else runs[-1:]) for row in run.rows]
    (run,) = packages["mlflow"].values()
    return run["rows"]


def history_of(work):
    with open(work / "history.csv", newline="") as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def assert_logged(rows, history):
    assert [row["step"] for row in rows] == [row["epoch"] for row in history]
    for row, known in zip(rows, history, strict=True):
        assert set(row) == {"step", "learning_rate", *METRICS.values()}
        assert row["learning_rate"] == pytest.approx(CONFIG.train.learning_rate)
        assert all(row[name] == pytest.approx(known[column], rel=1e-6) for column, name in METRICS.items())


# ---------------------------------------------------------------- what is logged


@pytest.fixture(scope="module")
def unlogged(tmp_path_factory):
    return train(CONFIG, tmp_path_factory.mktemp("unlogged") / "fold01" / "valence")


@pytest.mark.journey
@pytest.mark.parametrize("kind", KINDS)
def test_every_epoch_is_logged_and_the_training_is_the_same(kind, tmp_path, packages, unlogged):
    work = tmp_path / "trial" / "fold01" / "valence"
    assert train(logged_by(kind), work).tobytes() == unlogged.tobytes()
    history = history_of(work)
    assert len(history) == 4
    assert_logged(rows_in(kind, work, packages), history)


@pytest.mark.journey
@pytest.mark.parametrize("kind", [*KINDS, "wandb online"])
def test_a_stopped_training_goes_on_without_an_epoch_twice(kind, tmp_path, packages, unlogged, monkeypatch):
    kind, _, mode = kind.partition(" ")
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    work = tmp_path / "fold01" / "valence"
    monkeypatch.setattr(lightning_module, "SAVE_EVERY_S", 0)
    with monkeypatch.context() as patch:
        save = lightning_module.TrainingModule._save

        def stop(module, folder):
            if module.epochs_done == 3:
                raise KeyboardInterrupt  # the log has this epoch, the checkpoint has not
            save(module, folder)

        patch.setattr(lightning_module.TrainingModule, "_save", stop)
        with pytest.raises(KeyboardInterrupt):
            train(logged_by(kind), work)
    assert [row["step"] for row in rows_in(kind, work, packages)] == [1, 2, 3]
    assert train(logged_by(kind), work).tobytes() == unlogged.tobytes()
    rows, history = rows_in(kind, work, packages), history_of(work)
    for row in rows:  # how long the third epoch took is another number each time it is done
        row["seconds"] = history[int(row["step"]) - 1]["seconds"]
    assert_logged(rows, history)
    train(logged_by(kind), work)  # it is finished: only its weights are read
    assert [row["step"] for row in rows_in(kind, work, packages)] == [1, 2, 3, 4]


@pytest.mark.journey
def test_names_settings_and_ends_of_runs(tmp_path, packages):
    work = tmp_path / "trial" / "fold03" / "valence"
    for kind in KINDS:
        train(logged_by(kind), work)
    (run,) = packages["wandb"]
    assert run.settings["name"] == "gbvnet/fold03/valence" and run.settings["group"] == "trial"
    assert run.settings["dir"] == str(work) and run.exit_code == 0
    assert run.config["train.learning_rate"] == 1e-3 and run.config["modality"] == "bio"
    (run,) = packages["mlflow"].values()
    assert run["settings"]["run_name"] == "gbvnet/fold03/valence" and run["settings"]["experiment_name"] == "trial"
    assert run["params"]["train.epochs"] == 4 and run["status"] == "success"
    for kind in ("csv", "tensorboard"):
        assert yaml.safe_load((work / kind / "hparams.yaml").read_text())["model.variant"] == "micro"
    train(logged_by("mlflow"), tmp_path / "model.training")
    assert [*packages["mlflow"].values()][1]["settings"]["run_name"] == "gbvnet/model.training"


@pytest.mark.journey
def test_nothing_leaves_the_machine_unless_the_environment_says_so(tmp_path, packages, monkeypatch):
    work = tmp_path / "run" / "fold01" / "valence"
    train(logged_by("wandb"), work)
    train(logged_by("mlflow"), work)
    assert packages["wandb"][0].settings["mode"] == "offline" and os.environ["WANDB_ERROR_REPORTING"] == "false"
    uri = packages["mlflow"]["run0"]["settings"]["tracking_uri"]
    assert uri == f"sqlite:///{tmp_path / 'run' / 'mlflow.db'}" and os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org")
    train(logged_by("wandb"), tmp_path / "other" / "fold01" / "valence")
    train(logged_by("mlflow"), tmp_path / "other" / "fold01" / "valence")
    assert packages["wandb"][1].settings["mode"] == "online"
    assert packages["mlflow"]["run1"]["settings"]["tracking_uri"] == "https://mlflow.example.org"
    assert packages["wandb"][1].settings["id"] != packages["wandb"][0].settings["id"]


@pytest.mark.journey
def test_no_logger_imports_none_of_them():
    code = (
        "import sys; from gbvnet.systems import system; system('gbvnet');"
        "print([m for m in ('wandb', 'mlflow', 'tensorboard') if m in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


# ---------------------------------------------------------------- what goes wrong


def test_a_missing_package_is_reported_before_anything_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(training_log, "find_spec", lambda name: None if name == "wandb" else find_spec(name))
    message = r"train\.logger wandb needs the package wandb: pip install 'gbvnet\[wandb\]'"
    with pytest.raises(BadConfig, match=message):
        require_logger(logged_by("wandb").train)
    with pytest.raises(BadConfig, match=message):
        cross_validate(STORE, tmp_path / "run", logged_by("wandb"))
    with pytest.raises(BadConfig, match=message):
        compare(STORE, tmp_path / "compared", CompareConfig(train=TrainConfig(logger="wandb")))
    with pytest.raises(BadConfig, match=message):
        train(logged_by("wandb"), tmp_path / "fold01" / "valence")
    assert list(tmp_path.iterdir()) == []
    for kind in ("csv", "tensorboard", None):
        require_logger(TrainConfig(logger=kind))


def test_a_logger_needs_a_folder():
    with pytest.raises(BadConfig, match=r"train\.logger writes into the folder of a training"):
        train(logged_by("csv"), None)


@pytest.mark.journey
def test_a_logger_that_fails_stops_nothing_and_is_tried_again(tmp_path, monkeypatch, caplog, unlogged):
    calls = []

    def fail_twice(self, metrics, step):
        calls.append(step)
        if len(calls) <= 2:
            raise OSError("no connection")
        log_metrics(self, metrics, step)

    log_metrics = lightning_loggers.CSVLogger.log_metrics
    monkeypatch.setattr(lightning_loggers.CSVLogger, "log_metrics", fail_twice)
    work = tmp_path / "fold01" / "valence"
    assert train(logged_by("csv"), work).tobytes() == unlogged.tobytes()
    assert calls == [1, 1, 1, 2, 3, 4]
    assert caplog.text.count("gbvnet/fold01/valence: csv did not take epoch 1 (no connection)") == 2
    assert_logged(rows_in("csv", work, {}), history_of(work))


# ---------------------------------------------------------------- what does not depend on it


@pytest.mark.journey
def test_runs_do_not_depend_on_the_logger(tmp_path):
    path = cross_validate(STORE, tmp_path / "run", CONFIG)
    before = path.read_bytes()
    assert config_digest(CONFIG) == config_digest(logged_by("csv"))
    assert cross_validate(STORE, tmp_path / "run", logged_by("csv")) == path  # finished: it is left as it is
    assert path.read_bytes() == before
    logged = cross_validate(STORE, tmp_path / "logged", logged_by("csv"))
    assert logged.read_bytes() == before
    models = [tmp_path / run / "fold01" / "valence" / "model" for run in ("run", "logged")]
    for file in ("config.json", "model.safetensors", "README.md"):
        assert len({(model / file).read_bytes() for model in models}) == 1, file
    assert "logger" not in json.loads((models[0] / "config.json").read_text())["about"]["train"]


@pytest.mark.journey
def test_runs_and_groups_of_before_are_continued(tmp_path):
    folder, store = tmp_path / "run", write_store(tmp_path / "store", subjects=3, trials=4, windows=3)
    cross_validate(store, folder, CONFIG)
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    del settings["train"]["logger"]
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    assert from_dict(CrossvalConfig, settings).train.logger is None
    cross_validate(store, folder, logged_by("csv"))
    group = CompareConfig(
        systems=("majority",), **{k: v for k, v in vars(CONFIG).items() if k not in ("system", "options")}
    )
    compare(store, tmp_path / "compared", group)
    record = json.loads((tmp_path / "compared" / "compare.json").read_text())
    assert record["config"]["train"].pop("logger", "absent") is None
    (tmp_path / "compared" / "compare.json").write_text(json.dumps(record))
    compare(store, tmp_path / "compared", replace(group, train=replace(group.train, logger="csv")))
    assert to_dict(TrainConfig())["logger"] is None


@pytest.mark.journey
def test_a_system_without_a_network_has_nothing_to_log(tmp_path):
    cross_validate(STORE, tmp_path / "run", replace(logged_by("csv"), system="ridge"))
    assert not list((tmp_path / "run").rglob("metrics.csv"))
