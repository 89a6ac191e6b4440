"""Explain a run: parts of the input of its models are removed or corrupted, and the predictions compared.

Nothing here looks inside a system, but for the gates of a GBV-Net: the store it reads from is changed, and it predicts
again. So every system that can be loaded is explained in one way, always by the fold's own model and on windows that
this model was not trained on.
How the output of each task is measured, and what the columns are called, is in report/explanation_outputs.py.

RUN/explain/explain.json      the settings, the predictions' digest, used and tested windows, what is left out
RUN/explain/channels.csv      a row a target, fold and channel: the loss without it
RUN/explain/saliency.csv      a row a target, class (or half of the scale) and patch of the face: the loss without it
RUN/explain/face.png          the mean of the faces of the used windows
RUN/explain/face_features.csv instead of these two, of a system that reads features of faces: a row a target, fold and
                              group of features: the loss without it
RUN/explain/robustness.csv    a row a target, fold, modality and noise: scores, and the mean of the gates
RUN/explain/gates.csv         of a network with gates: a row a target, fold, modality, subject or noise: how they vary
RUN/explain/gate_controls.csv of it, a row a target, fold, subject and control: scores with gates frozen and shuffled

Shapes: n windows, F frames a window, S face side, C channels, L samples a window, K targets, G patches across a face.
"""

import hashlib
import io
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
from typing_extensions import override

from .. import __version__
from ..config import CrossvalConfig, ExplainConfig, TrainConfig, from_dict, to_dict, uses_face
from ..errors import BadConfig, BadRun
from ..evaluation import chosen_settings, predictions
from ..evaluation.plan import Plan, make_plan
from ..io.atomic import atomic_write
from ..io.records import json_record
from ..io.safe_load import from_json, from_yaml
from ..plugins import label
from ..preprocessing.face_features import feature_groups
from ..progress import ProgressCallback
from ..report.explanation_outputs import ALL, TURNED_WRONG, ExplainedOutput, output_of_target
from ..report.explanation_section import (
    ABOUT,
    CHANNELS,
    CONTROLS,
    FACE,
    FEATURES,
    FOLDER,
    FORMAT,
    GATES,
    ROBUSTNESS,
    SALIENCY,
)
from ..store.channels import channels_of
from ..store.window_source import WindowSource
from ..systems import is_plugin, require_system
from .gate_measures import N_CONTROLS, NOISY, gate_controls, gate_statistics
from .lag_search import with_lags
from .probes import (
    ExplainedRun,
    PredictionCounter,
    Probe,
    ProbedModel,
    channel_importance,
    face_feature_importance,
    face_saliency,
    noise_conditions,
    noise_robustness,
)
from .run_folder import lock_run, read_environment, refuse_other_code, write_json
from .search_space import with_values

log = logging.getLogger(__name__)
FACES_AT_ONCE = 256


@dataclass(frozen=True)
class Explanation:
    """Where an explanation is, and the windows it is based on."""

    folder: Path
    windows: dict[int, tuple[int, int]]  # fold -> windows used, windows tested
    left_out: list[str]  # trainings that left no model, in words
    notes: dict[str, list[str]]  # target -> what is undefined for want of labels, in words

    @override
    def __str__(self) -> str:
        used, of = (sum(pair[k] for pair in self.windows.values()) for k in (0, 1))
        return f"{self.folder}: {used:,} of {of:,} test windows in {len(self.windows)} folds used" + "".join(
            [f"; left out: {what}" for what in self.left_out]
            + [f"; {target}, {note}" for target, notes in self.notes.items() for note in notes]
        )


def explain_run(
    store: WindowSource,
    run_dir: str | Path,
    config: ExplainConfig | None = None,
    progress: ProgressCallback | None = None,
    plugin: str | None = None,
) -> Explanation:
    """Explain a finished cross-validation on its own test windows, into RUN/explain.

    An interrupted explanation continues at the file it had reached; a finished one is left as it is.

    store : the one that the run was made from
    progress : called with predictions done, predictions in all, and the model that makes them
    plugin : of the run of a plug-in its file or module and class, "forest.py:Forest": a run folder alone must not
        decide which code is run

    Raises BadConfig if that is missing; BadRun if the run is unfinished or of another store, or holds an explanation
    made with other settings or of other predictions; BadModel if a fold's model does not load.
    """
    run_dir, config = Path(run_dir), config or ExplainConfig()
    work = _open_run(store, run_dir, config, plugin)
    with lock_run(run_dir):
        folder = run_dir / FOLDER
        done = _begin_folder(folder, work)
        if not done:
            _explain(folder, work, progress)
    return Explanation(folder, work.windows, work.left_out, work.notes)


# ---------------------------------------------------------------- the run


def _open_run(store: WindowSource, run_dir: Path, config: ExplainConfig, plugin: str | None) -> ExplainedRun:
    """Read a run, and check that store, settings and predictions belong together."""
    table = predictions.read_run(run_dir)
    run = _with_named_system(_read_config(run_dir / "config.yaml"), plugin, run_dir)
    digest = read_environment(run_dir).get("store", {}).get("digest")
    if digest != store.digest:
        expected = f"a run on the store {store.path} ({store.digest})"
        raise BadRun(run_dir, expected, f"one on another ({digest})", "Give the run's own store.")
    if uses_face(run.modality) and store.has_pixels and config.grid > store.settings["face_side"]:
        raise BadConfig(f"grid must be at most the {store.settings['face_side']} pixels of a face, not {config.grid}")
    plan = with_lags(store, make_plan(store, run), run)
    _check_rows(plan, table, run_dir)
    models, left_out = [], []
    for fold in plan.folds:
        rows = sample_rows(fold.test, config, fold.number)
        for targets in [tuple(plan.targets)] if run.joint else [(name,) for name in plan.targets]:
            folder = run_dir / f"fold{fold.number:02d}" / ("both" if len(targets) > 1 else targets[0])
            if _is_constant(folder):
                reason = output_of_target(plan.targets[targets[0]]).without_model
                left_out.append(f"fold {fold.number}, {targets[0]}: no model, as {reason}")
            else:
                models.append(ProbedModel(fold, targets, folder / "model", rows, _chosen_settings(folder, run)))
    if not models:
        raise BadRun(run_dir, "a run with a trained model", "none: " + "; ".join(left_out))
    digest = hashlib.sha256((run_dir / predictions.FILE).read_bytes()).hexdigest()
    return ExplainedRun(store, run, config, plan, models, digest, left_out)


def _with_named_system(run: CrossvalConfig, plugin: str | None, run_dir: Path) -> CrossvalConfig:
    """The run's settings with its plug-in as the user has named it. Raises BadConfig, or BadRun for another one."""
    if not is_plugin(run.system):
        require_system(run.system)
        return run
    if plugin is None:
        raise BadConfig(
            f"{run_dir} was made by {run.system}, which is no code of gbvnet: name it to run it, --plugin {run.system}"
        )
    if label(plugin) != label(run.system):
        raise BadRun(run_dir, f"a run of {label(plugin)}", f"one of {label(run.system)}")
    run = replace(run, system=plugin)
    refuse_other_code(run_dir, run, read_environment(run_dir))
    return run


def _read_config(path: Path) -> CrossvalConfig:
    """The run's settings, but for the device: a run may be explained on another machine than it was trained on."""
    try:
        values = from_yaml(path.read_text())
        values.pop(chosen_settings.FOLDER, None)  # of a search; each training has settings of its own then
        values["train"] = {**values["train"], "device": TrainConfig.device}
        return from_dict(CrossvalConfig, values)
    except (OSError, TypeError, KeyError, ValueError, BadConfig) as error:
        damage = f"a file that does not give them ({error})"
        raise BadRun(path, "the settings of a run", damage, "It may be of another version of gbvnet.") from None


def _chosen_settings(folder: Path, run: CrossvalConfig) -> CrossvalConfig | None:
    """The settings that a search has chosen for the training in RUN/foldNN/<target>; None if there was no search."""
    chosen = chosen_settings.read_chosen(folder.parents[1] / chosen_settings.FOLDER / folder.parent.name / folder.name)
    return None if chosen is None else with_values(run, chosen.values)


def _check_rows(plan: Plan, table: pd.DataFrame, run_dir: Path) -> None:
    """Raise BadRun unless folds and labels, as the settings give them, are those of the predictions."""
    for fold in plan.folds:
        names = plan.windows.loc[fold.test, ["recording", "window"]]
        for target, y in plan.labels_of(fold).labels.items():
            of_fold = table[(table["fold"] == fold.number) & (table["target"] == target)]
            planned = names.assign(y=y.loc[fold.test]).sort_values(["recording", "window"])
            predicted = of_fold[["recording", "window", "y"]].sort_values(["recording", "window"])
            if planned.astype(str).to_numpy().tolist() != predicted.astype(str).to_numpy().tolist():
                raise BadRun(
                    run_dir / predictions.FILE,
                    f"the {len(planned)} test windows of fold {fold.number} in {target} by the run's settings",
                    f"{len(predicted)} others",
                    "The run may be of another version of gbvnet; run `gbvnet crossval` again.",
                )


def _is_constant(folder: Path) -> bool:
    """Whether a training had one class only, and so has no model."""
    try:
        return bool(from_json((folder / "fit.json").read_text()).get("constant"))
    except (OSError, ValueError):
        return False


def sample_rows(rows: np.ndarray, config: ExplainConfig, fold: int) -> np.ndarray:
    """Return at most `config.windows` of rows (n,), drawn at random, sorted. The same for every target of a fold."""
    rng = np.random.default_rng([config.seed, fold])
    return np.sort(rng.permutation(rows)[: config.windows])


# ---------------------------------------------------------------- the folder


def _begin_folder(folder: Path, work: ExplainedRun) -> bool:
    """Write explain.json, or check that the one that is there has the same settings. Returns whether it is complete."""
    about = {
        "format": FORMAT,
        "gbvnet": __version__,
        "settings": to_dict(work.config),
        "predictions": work.digest,
        "files": work.files,
        "windows": {str(fold): list(pair) for fold, pair in work.windows.items()},
        "left_out": work.left_out,
        **_about_targets(work),
    }
    folder.mkdir(exist_ok=True)
    if (folder / ABOUT).exists():
        _refuse_other(folder, about)
    write_json(folder / ABOUT, about)
    return all((folder / name).exists() for name in work.files)


def _about_targets(work: ExplainedRun) -> dict[str, Any]:
    """What explain.json says of task, classes and scales; nothing of task binary, which needs no words for them."""
    outputs = work.outputs
    task = next(iter(outputs.values())).task
    about = {name: output.about for name, output in outputs.items()}
    return {"task": task, "targets": about, "notes": work.notes} if any(about.values()) else {}


class _About(msgspec.Struct):
    """What is read of explain.json."""

    settings: dict[str, Any]
    format: int | None = None
    predictions: str | None = None


def _refuse_other(folder: Path, about: dict) -> None:
    remedy = f"Delete {folder} to explain the run again."
    try:
        earlier = json_record((folder / ABOUT).read_text(), _About)
    except (OSError, ValueError) as error:
        raise BadRun(folder / ABOUT, "the settings of an explanation", f"a damaged file ({error})", remedy) from None
    for name in ("format", "predictions"):
        if (value := getattr(earlier, name)) != about[name]:
            raise BadRun(folder, f"an explanation of {name} {about[name]}", f"one of {value}", remedy)
    for name, now in about["settings"].items():  # an earlier version may have had fewer
        value = earlier.settings.get(name, getattr(ExplainConfig, name))
        if now != value:
            raise BadRun(folder, f"an explanation with {name} = {now}", f"one with {value}", remedy)


def _explain(folder: Path, work: ExplainedRun, progress: ProgressCallback | None) -> None:
    """Compute each file for each model, then join the parts."""
    measures = {
        CHANNELS: channel_importance,
        FEATURES: face_feature_importance,
        SALIENCY: face_saliency,
        ROBUSTNESS: noise_robustness,
        GATES: gate_statistics,
        CONTROLS: gate_controls,
    }
    tables = [name for name in work.files if name in measures]
    count = PredictionCounter(progress, sum(_count_predictions(work, name) for name in tables) * len(work.models))
    parts = folder / "parts"
    parts.mkdir(exist_ok=True)
    for part in work.models:
        todo = [name for name in tables if not (parts / f"{part.name}-{name}").exists()]
        count.add(sum(_count_predictions(work, name) for name in tables if name not in todo))
        if todo:
            probe = Probe(work, part, count)
            for name in todo:
                table = pd.DataFrame(measures[name](probe))
                _write_table(table.assign(fold=part.fold.number), parts / f"{part.name}-{name}")
    for name in tables:
        _write_table(_join_parts(work, name, parts), folder / name)
    if FACE in work.files:
        atomic_write(
            folder / FACE, _png(mean_face(work.store, np.concatenate([p.rows for p in _one_model_per_fold(work)])))
        )
    shutil.rmtree(parts)


def _one_model_per_fold(work: ExplainedRun) -> list[ProbedModel]:
    """One model a fold: those of its targets use the same windows."""
    return list({part.fold.number: part for part in work.models}.values())


def _count_predictions(work: ExplainedRun, name: str) -> int:
    """How often a system is measures for one file of one part."""
    modality = work.run.modality
    if name == CHANNELS:
        return 1 + len(channels_of(work.store, modality))
    if name == FEATURES:
        return 1 + len(feature_groups(work.store.face_feature_names))
    if name in (GATES, CONTROLS):
        return 1 + len(NOISY) if name == GATES else N_CONTROLS
    return 1 + work.config.grid**2 if name == SALIENCY else len(list(noise_conditions(work.run)))


def _join_parts(work: ExplainedRun, name: str, parts: Path) -> pd.DataFrame:
    """The parts of a table, one below the other; of the saliency the mean over all windows of all folds."""
    output = next(iter(work.outputs.values()))
    text = {output.group: str, "subject": str}
    files = [file for p in work.models if (file := parts / f"{p.name}-{name}").stat().st_size > 1]  # 1: without rows
    read = [pd.read_csv(file, keep_default_na=False, na_values=[""], dtype=text) for file in files]
    table = pd.concat(read, ignore_index=True)
    table = _over_folds(table, output) if name == SALIENCY else table
    first = {"dataset": work.store.title, "protocol": work.run.protocol}
    order = [*first, "target", *(["fold"] if "fold" in table else [])]
    table = table.assign(**first)
    return table[[*order, *(column for column in table if column not in order)]]


def _over_folds(table: pd.DataFrame, output: ExplainedOutput) -> pd.DataFrame:
    """Means of loss and change over the windows of each group (the high class, the low class), and over all."""
    names = [name for name in (output.patch_loss, output.patch_change, TURNED_WRONG) if name in table]
    table = table.assign(**{name: table[name] * table["windows"] for name in names})
    every = pd.concat([table, table.assign(**{output.group: ALL})])
    sums = every.groupby(["target", output.group, "row", "column"], as_index=False)[[*names, "windows"]].sum()
    return sums.assign(**{name: sums[name] / sums["windows"] for name in names})


def _write_table(table: pd.DataFrame, path: Path) -> None:
    atomic_write(path, table.to_csv(index=False, float_format="%.6g").encode())


def _png(picture: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, picture, format="png")
    return content.getvalue()


def mean_face(store: WindowSource, rows: np.ndarray) -> np.ndarray:
    """Return (S, S, 3) uint8, the mean over windows of their good frames; windows without a face do not count."""
    side = store.settings["face_side"]
    total, count = np.zeros((side, side, 3)), 0
    for begin in range(0, len(rows), FACES_AT_ONCE):
        faces, ok, _ = store.read(rows[begin : begin + FACES_AT_ONCE], signals=False)
        good = ok / np.maximum(ok.sum(axis=1, keepdims=True), 1)  # (n, F)
        total += np.einsum("nfxyc,nf->xyc", faces, good.astype(np.float32), optimize=True)
        count += int(ok.any(axis=1).sum())
    return (total / max(count, 1)).round().astype(np.uint8)
