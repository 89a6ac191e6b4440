"""The course of a training as CSV or in TensorBoard, Weights & Biases or MLflow, written by Lightning's loggers.

Off by default. Nothing leaves the machine unless the user's environment says so (WANDB_MODE=online, or a server in
MLFLOW_TRACKING_URI), and no prediction depends on it. What is logged are the numbers of history.csv, an epoch a step:

    csv, tensorboard    in a folder of that name in the training's folder (RUN/foldNN/TARGET), written anew when a
                        training continues, so that no step is there twice
    wandb               RUN/foldNN/TARGET/wandb; offline it is written anew as well, online the same run is continued
    mlflow              RUN/mlflow.db, one for all trainings of a run, each of which is continued
"""

import logging
import math
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock

from ..config import CrossvalConfig, TrainConfig, flatten, require, to_dict
from ..errors import BadConfig
from ..io.atomic import atomic_write

log = logging.getLogger(__name__)

EXTRAS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow"}  # logger: package, and extra of that name
METRICS = {  # column of history.csv: name in the logs
    "train_loss": "train/loss",
    "train_accuracy": "train/accuracy",
    "inner_loss": "validation/loss",
    "inner_accuracy": "validation/accuracy",
    "seconds": "seconds",
}
WANDB_ID, MLFLOW_ID = "wandb_id.txt", "mlflow_id.txt"  # in the training's folder: the run that it continues
MLFLOW_FILE = "mlflow.db"
WANDB_STEP = "trainer/global_step"  # under which Lightning's logger logs a step


def require_logger(config: TrainConfig) -> None:
    """Raise BadConfig if the package of the logger is not installed, with the command that installs it."""
    package = EXTRAS.get(config.logger or "")
    if package and find_spec(package) is None:
        raise BadConfig(f"train.logger {config.logger} needs the package {package}: pip install 'gbvnet[{package}]'")


def training_log(config: CrossvalConfig, work: Path | None) -> "TrainingLog | None":
    """Return the log of a training with these settings, None if none is wanted.

    work : the training's folder. Raises BadConfig if there is none, or if a package is missing
    """
    if config.train.logger is None:
        return None
    require_logger(config.train)
    require(work is not None, "train.logger writes into the folder of a training, and this one has none (work)")
    return TrainingLog(config, work)  # type: ignore[arg-type]


class TrainingLog:
    """The log of one training. A logger that fails is reported, and the training goes on.

    name : SYSTEM/foldNN/TARGET, or the system and the folder. run_folder : the folder of all trainings of a run
    """

    def __init__(self, config: CrossvalConfig, work: Path):
        self.kind, self.work = str(config.train.logger), work.absolute()
        fold = next((p for p in (self.work, *self.work.parents) if re.fullmatch(r"fold\d+", p.name)), None)
        self.run_folder = fold.parent if fold else self.work
        self.name = f"{config.system}/{self.work.relative_to(self.run_folder) if fold else self.work.name}"
        self.settings = {name: _plain(value) for name, value in flatten(to_dict(config)).items()}
        self.learning_rate = config.train.learning_rate
        self._logger: Any = None
        self._last_step = 0  # that the logger has
        self._rows: list[dict[str, Any]] = []  # of history.csv, that the logger does not have yet

    @contextmanager
    def opened(self, history: Iterable[dict[str, Any]]) -> Iterator[None]:
        """Log what a training does while the block runs. history : its epochs before, if it continues."""
        with _quiet():
            self.work.mkdir(parents=True, exist_ok=True)
            self._logger = getattr(self, f"_open_{self.kind}")()
            self._logger.log_hyperparams(self.settings)
        self._add(history)
        status = "failed"
        try:
            yield
            status = "success"
        finally:
            self._add([])
            self._close(status)

    def add(self, row: dict[str, Any]) -> None:
        """Log an epoch, a row of history.csv."""
        self._add([row])

    def _add(self, rows: Iterable[dict[str, Any]]) -> None:
        self._rows += [row for row in rows if row["epoch"] > self._last_step]
        try:
            with _quiet():
                while self._rows:
                    step = int(self._rows[0]["epoch"])
                    self._logger.log_metrics(self._metrics(self._rows[0]), step=step)
                    self._last_step = step
                    self._rows.pop(0)
                self._logger.save()
        except Exception as error:  # of software that must not stop a training; the rows are tried again
            log.warning("%s: %s did not take epoch %d (%s)", self.name, self.kind, self._last_step + 1, error)

    def _metrics(self, row: dict[str, Any]) -> dict[str, float]:
        metrics = {name: float(row[column]) for column, name in METRICS.items()}
        known = {name: value for name, value in metrics.items() if not math.isnan(value)}
        return known | {"learning_rate": self.learning_rate}

    def _close(self, status: str) -> None:
        try:
            with _quiet():
                self._logger.finalize(status)
                if self.kind == "wandb":
                    self._logger.experiment.finish(exit_code=0 if status == "success" else 1)
        except Exception as error:
            log.warning("%s: %s was not closed (%s)", self.name, self.kind, error)

    def _open_csv(self) -> Any:
        from lightning.pytorch.loggers import CSVLogger

        shutil.rmtree(self.work / "csv", ignore_errors=True)
        return CSVLogger(self.work, name="csv", version="", flush_logs_every_n_steps=1)

    def _open_tensorboard(self) -> Any:
        from lightning.pytorch.loggers import TensorBoardLogger

        shutil.rmtree(self.work / "tensorboard", ignore_errors=True)
        logger = TensorBoardLogger(self.work, name="tensorboard", version="", default_hp_metric=False)
        lines = [f"| {name} | {value} |" for name, value in self.settings.items()]
        logger.experiment.add_text("settings", "\n".join(["| setting | value |", "|---|---|", *lines]))
        return logger

    def _open_wandb(self) -> Any:
        mode = os.environ.get("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_SILENT", "true")  # this and the next are read when wandb is imported
        if mode != "online":
            os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
            shutil.rmtree(self.work / "wandb", ignore_errors=True)
        import wandb
        from lightning.pytorch.loggers import WandbLogger

        run = wandb.init(
            name=self.name,
            dir=str(self.work),
            id=_kept_id(self.work / WANDB_ID),
            resume="allow",
            project=os.environ.get("WANDB_PROJECT", "gbvnet"),
            group=self.run_folder.name,
            mode=mode,
            reinit="create_new",
            settings={"console": "off", "silent": True, "disable_git": True, "save_code": False},
        )
        run.define_metric(WANDB_STEP)
        run.define_metric("*", step_metric=WANDB_STEP, step_sync=True)
        self._last_step = int(run.summary.get(WANDB_STEP, 0) or 0) if mode == "online" else 0
        return WandbLogger(experiment=run)

    def _open_mlflow(self) -> Any:
        server = os.environ.get("MLFLOW_TRACKING_URI")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")  # this and the next are read when mlflow is imported
        if not server:
            os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        from lightning.pytorch.loggers import MLFlowLogger

        file = self.work / MLFLOW_ID
        with FileLock(self.run_folder / f"{MLFLOW_FILE}.lock"):  # several trainings at once would each make the file
            logger = MLFlowLogger(
                experiment_name=os.environ.get("MLFLOW_EXPERIMENT_NAME", self.run_folder.name),
                run_name=self.name,
                tracking_uri=server or f"sqlite:///{self.run_folder / MLFLOW_FILE}",
                artifact_location=None if server else (self.run_folder / "mlflow_files").as_uri(),
                run_id=file.read_text().strip() if file.exists() else None,
            )
            run_id = logger.run_id
        atomic_write(file, f"{run_id}\n".encode())
        logged = logger.experiment.get_metric_history(run_id, "learning_rate")
        self._last_step = max((metric.step for metric in logged), default=0)
        return logger


def _kept_id(file: Path) -> str:
    """Return the identity of a run that a file holds, a new one if there is no file."""
    if not file.exists():
        atomic_write(file, f"{secrets.token_hex(4)}\n".encode())
    return file.read_text().strip()


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, list | tuple | dict) or value is None else value


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide notes of the loggers' libraries, which need no action, and their warnings."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "alembic", "mlflow", "sqlalchemy")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)
