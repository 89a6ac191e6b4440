"""Pruning of a saved model: channels are removed by its training subjects alone, and it is trained further on them.

MODEL                     the smaller model (network/checkpoint/checkpoint.py), its card with what it lost
MODEL.training/           prune.json, pruned/history.csv and, until it is finished, pruned/last.ckpt
"""

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NamedTuple

from filelock import FileLock, Timeout

from ..config import CrossvalConfig, PruneConfig
from ..errors import BadConfig, BadModel, BadRun
from ..evaluation.labels import has_one_class
from ..evaluation.splits import train_validation_split
from ..io.atomic import atomic_folder, remove_stale_temp_files
from ..network.checkpoint.checkpoint import load_model, save_model
from ..network.checkpoint.folder import TENSORS, read_header
from ..network.checkpoint.hub import FILES, find_model
from ..network.checkpoint.trained_on import TrainedOn, subjects_in_words, trained_on
from ..network.training_data import CHECKPOINT
from ..store.joined import training_store
from ..store.window_source import WindowSource
from ..systems.gbvnet import PRUNED, System, prune_and_train
from .run_group import begin_run_group
from .side_by_side import Comparison, compare_models

log = logging.getLogger(__name__)

FILE, FORMAT = "prune.json", 1
SEED = 0  # of the split into training and validation trials, and of the training


class Pruning(NamedTuple):
    """A finished pruning: the new folder, how it was done, and both models side by side; None if nothing was pruned."""

    folder: Path
    done: dict[str, Any]
    comparison: Comparison | None

    @property
    def lines(self) -> list[str]:
        """What a user reads of it."""
        if self.comparison is None:
            return [f"{self.folder}: all channels are kept, so it is a copy"]
        before, after = self.done["parameters_before"], self.done["parameters"]
        share = f"{after:,} of {before:,} parameters ({after / before:.0%})"
        trained = (
            f"epoch {self.done['chosen_epoch']} of at most {self.done['epochs']}, trained on {self.done['windows']} "
            f"windows of {self.done['subjects']}"
            if self.done["epochs"]
            else "not trained further"
        )
        return [f"{self.folder}: {share}; {trained}", *self.comparison.lines]


def prune_model(name: str | Path, folder: str | Path, store: WindowSource, how: PruneConfig | None = None) -> Pruning:
    """Prune a model by windows of its training subjects, train it further on them, and write it as a new folder.

    name : a model folder, or user/name on the hub. store : the one that it was trained on

    Of its subjects' trials a fifth chooses the epoch. An interrupted training continues. With `how.keep` 1 the folder
    is a copy. Raises BadModel if `folder` is there already or the model is bad, BadConfig if the store is not of this
    model or there is nothing to learn, BadRun if the folder of the training is that of another one.
    """
    source, folder, how = find_model(name), Path(folder), how or PruneConfig()
    if folder.exists():
        raise BadModel(folder, "no such folder yet", "one", "Give another name, or delete it.")
    network, about = load_model(source)
    data = trained_on(network.config, about, store, source)
    if how.keep == 1:
        _copy(source, folder)
        return Pruning(folder, {"keep": 1.0}, None)
    work = folder.with_name(f"{folder.name}.training")
    settings = asdict(how) | {"model": read_header(source / TENSORS).tensors_digest}
    try:
        begin_run_group(work / FILE, "a pruning", store, settings, FORMAT)
        with FileLock(work / "lock", timeout=0):
            remove_stale_temp_files(folder.parent, folder.name)
            system, done = _prune(data, network, how, work)
            about = about_of_pruned(about, done, network_digest=settings["model"])
            comparison = _saved_and_compared(source, folder, system, about, store)
            (work / PRUNED / CHECKPOINT).unlink(missing_ok=True)
    except Timeout:
        raise BadRun(work, "a training that nobody runs", "one locked by another process", "Wait for it.") from None
    except OSError as error:
        remedy = "Finished work is kept; run again."
        raise BadRun(error.filename or work, "a file that can be written", error.strerror or error, remedy) from error
    return Pruning(folder, done, comparison)


def _copy(source: Path, folder: Path) -> None:
    with atomic_folder(folder) as temporary:
        for name in FILES:
            if (source / name).is_file():
                (temporary / name).write_bytes((source / name).read_bytes())


def _prune(data: TrainedOn, network: Any, how: PruneConfig, work: Path) -> tuple[System, dict[str, Any]]:
    """Return the system with the pruned network, and how that was done."""
    config: CrossvalConfig = replace(
        data.config, prune=how.keep, prune_by=how.by, prune_stages=how.stages, prune_epochs=how.epochs
    )
    rows, validation = train_validation_split(data.windows, config)  # of protocol trial
    y = data.labels
    for target in y:
        if how.epochs and data.targets[0].task != "regression" and has_one_class(y[target].loc[rows]):
            raise BadConfig(f"all {len(rows)} training windows have the same {target}: there is nothing to learn")
    labels = [y.loc[at].to_numpy() if config.joint else y.loc[at].to_numpy()[:, 0] for at in (rows, validation)]
    system = System(config, work=work)
    system.target, system.network = data.targets[0], network
    store = training_store(data.store)
    done = prune_and_train(system, (store, rows, labels[0]), (validation, labels[1]), SEED, work / PRUNED)
    of_windows = {
        "windows": len(rows),
        "validation_windows": len(validation),
        "subjects": subjects_in_words(data.windows),
    }
    return system, done | of_windows


def about_of_pruned(about: dict, done: dict[str, Any], network_digest: str | None) -> dict:
    """Return what a pruned model records: as the whole one, but for its scores, which are not those of this network."""
    validation = about.get("validation")
    kept = {"validation": {k: v for k, v in validation.items() if k in ("trials", "windows")}} if validation else {}
    return (
        about
        | kept
        | {"scores": {}, "tests": [], "pruned": done | {"from": network_digest}}
        | ({"n_parameters": done["parameters"]} if "n_parameters" in about else {})
    )


def _saved_and_compared(source: Path, folder: Path, system: System, about: dict, store: WindowSource) -> Comparison:
    """Save the pruned model, once with what it lost on its card."""
    draft = folder.with_name(f"{folder.name}.training") / "model"
    save_model(draft, system.network, about)  # type: ignore[arg-type]
    comparison = compare_models([source, draft], store)
    rows = [replace(row, model=name) for row, name in zip(comparison.rows, ("whole", "pruned"), strict=True)]
    comparison = comparison._replace(rows=rows)
    save_model(folder, system.network, about | {"pruned": about["pruned"] | {"compared": comparison.record}})  # type: ignore[arg-type]
    for name in FILES:
        (draft / name).unlink()
    draft.rmdir()
    return comparison
