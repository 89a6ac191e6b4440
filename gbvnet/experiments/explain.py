"""What a trained system goes by: its input is taken away or spoilt piece by piece, and its predictions are compared.

Nothing here looks inside a system: the store it reads from is changed, and it is asked again. So every system that can
be loaded is explained in one way, always by the fold's own model and on windows that this model was not trained on.

RUN/explain/explain.json      the settings, the predictions' digest, how many windows of how many, what is left out
RUN/explain/channels.csv      a row a target, fold and channel: what is lost without it
RUN/explain/saliency.csv      a row a target, rating and patch of the face: what is lost without it
RUN/explain/face.png          the mean of the faces that were looked at
RUN/explain/robustness.csv    a row a target, fold, modality and noise: how well it still does, and what the gates do

Shapes: n windows, F frames a window, S face side, C channels, L samples a window, K targets, G patches across a face.
"""

import hashlib
import io
import logging
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from scipy.special import logit
from typing_extensions import override

from .. import __version__
from ..config import CrossvalConfig, ExplainConfig, TrainConfig, from_dict, to_dict, uses_face, uses_signals
from ..errors import BadConfig, BadRun, GbvnetError
from ..evaluation import predictions
from ..evaluation.metrics import accuracy, auc
from ..evaluation.plan import Plan, make_plan, targets_of
from ..evaluation.splits import Fold
from ..io.atomic import atomic_write
from ..io.safe_load import from_json, from_yaml
from ..network.augment import noisy, picture_noise
from ..network.model import IMAGENET_MEAN, IMAGENET_SD
from ..progress import ProgressCallback
from ..report.explanation_section import ABOUT, CHANNELS, FACE, FOLDER, FORMAT, ROBUSTNESS, SALIENCY
from ..store.channels import channels_of, statistics
from ..store.reader import Store
from ..systems import Contract, require_system, system
from .run_folder import locked, read_environment, write_json

log = logging.getLogger(__name__)

NOISE = (0.0, 0.25, 0.5, 0.75, 1.0)  # share of a modality's power that is noise
CAN_DO_WITHOUT = ("gbvnet",)  # systems that learn what to put in the place of a modality that is missing
CERTAIN = 1e-12  # a probability this near to 0 or 1 has this logit: 28 is as certain as anybody can be
FACES_AT_ONCE = 256

Arrays = tuple[Any, Any, Any]  # faces, face_ok, signals, as `Store.read` gives them
Alter = Callable[[np.ndarray, Arrays], Arrays]  # from row numbers and what is read there


@dataclass(frozen=True)
class Explanation:
    """Where it is, and what it rests on."""

    folder: Path
    windows: dict[int, tuple[int, int]]  # fold -> windows looked at, windows tested
    left_out: list[str]  # trainings that left no model, in words

    @override
    def __str__(self) -> str:
        used, of = (sum(pair[k] for pair in self.windows.values()) for k in (0, 1))
        return f"{self.folder}: {used:,} of {of:,} test windows in {len(self.windows)} folds looked at" + "".join(
            f"; left out: {what}" for what in self.left_out
        )


def explain_run(
    store: Store, run_dir: str | Path, config: ExplainConfig | None = None, progress: ProgressCallback | None = None
) -> Explanation:
    """Explain a finished cross-validation on its own test windows, into RUN/explain.

    What was interrupted goes on at the file it had reached; what is finished is left as it is.

    store : the one that the run was made from
    progress : called with how often a system was asked, how often it will be, and about what

    Raises BadRun if the run is unfinished or of another store, or holds an explanation made with other settings or of
    other predictions; BadModel if a fold's model does not load.
    """
    run_dir, config = Path(run_dir), config or ExplainConfig()
    work = _open(store, run_dir, config)
    with locked(run_dir):
        folder = run_dir / FOLDER
        done = _begin(folder, work)
        if not done:
            _explain(folder, work, progress)
    return Explanation(folder, work.windows, work.left_out)


# ---------------------------------------------------------------- the run


@dataclass(frozen=True)
class Part:
    """One training: the model of a fold, and the windows that it is asked about."""

    fold: Fold
    targets: tuple[str, ...]
    model: Path
    rows: np.ndarray  # (n,) drawn from the fold's test windows, sorted

    @property
    def name(self) -> str:
        return f"fold{self.fold.number:02d}-{'both' if len(self.targets) > 1 else self.targets[0]}"


@dataclass(frozen=True)
class Work:
    """A run, opened to be explained."""

    store: Store
    run: CrossvalConfig
    config: ExplainConfig
    plan: Plan
    parts: list[Part]
    digest: str  # of the predictions
    left_out: list[str]

    @property
    def windows(self) -> dict[int, tuple[int, int]]:
        return {p.fold.number: (len(p.rows), len(p.fold.test)) for p in self.parts}

    @property
    def files(self) -> list[str]:
        """What there is to find out: about signals where the system sees any and some window has them, and so on."""
        rows = np.concatenate([part.rows for part in self.parts])
        signals, face = (self.store.windows[name].to_numpy()[rows].any() for name in ("has_signals", "has_face"))
        names = [CHANNELS] if signals and uses_signals(self.run.modality) else []
        names += [SALIENCY, FACE] if face and uses_face(self.run.modality) else []
        return [*names, ROBUSTNESS]


def _open(store: Store, run_dir: Path, config: ExplainConfig) -> Work:
    """Read the run, and make sure that store, settings and predictions belong together."""
    table = predictions.read_run(run_dir)
    run = _read_config(run_dir / "config.yaml")
    require_system(run.system)
    made_from = read_environment(run_dir).get("store", {}).get("digest")
    if made_from != store.digest:
        ours = f"a run on the store {store.path} ({store.digest})"
        raise BadRun(run_dir, ours, f"one on another ({made_from})", "Give the run's own store.")
    if uses_face(run.modality) and config.grid > store.settings["face_side"]:
        raise BadConfig(f"grid must be at most the {store.settings['face_side']} pixels of a face, not {config.grid}")
    plan = make_plan(store, run)
    _check_rows(plan, table, run_dir)
    parts, left_out = [], []
    for fold in plan.folds:
        rows = draw(fold.test, config, fold.number)
        for targets in [targets_of(run)] if run.joint else [(t,) for t in targets_of(run)]:
            folder = run_dir / f"fold{fold.number:02d}" / ("both" if len(targets) > 1 else targets[0])
            if _constant(folder):
                left_out.append(f"fold {fold.number}, {targets[0]}: nothing was learnt from one class")
            else:
                parts.append(Part(fold, targets, folder / "model", rows))
    if not parts:
        raise BadRun(run_dir, "a run with a trained model", "none: " + "; ".join(left_out))
    digest = hashlib.sha256((run_dir / predictions.FILE).read_bytes()).hexdigest()
    return Work(store, run, config, plan, parts, digest, left_out)


def _read_config(path: Path) -> CrossvalConfig:
    """The run's settings; the device is chosen anew, as a run may be explained elsewhere than it was trained."""
    try:
        values = from_yaml(path.read_text())
        values["train"] = {**values["train"], "device": TrainConfig.device}
        return from_dict(CrossvalConfig, values)
    except (OSError, TypeError, KeyError, ValueError, BadConfig) as error:
        found = f"a file that does not give them ({error})"
        raise BadRun(path, "the settings of a run", found, "It may be of another version of gbvnet.") from None


def _check_rows(plan: Plan, table: pd.DataFrame, run_dir: Path) -> None:
    """The folds and labels that follow from the settings must be those of the predictions."""
    for fold in plan.folds:
        names = plan.windows.loc[fold.test, ["recording", "window"]]
        for target, high in plan.high.items():
            found = table[(table["fold"] == fold.number) & (table["target"] == target)]
            ours = names.assign(y=high.loc[fold.test]).sort_values(["recording", "window"])
            theirs = found[["recording", "window", "y"]].sort_values(["recording", "window"])
            if ours.astype(str).to_numpy().tolist() != theirs.astype(str).to_numpy().tolist():
                raise BadRun(
                    run_dir / predictions.FILE,
                    f"the {len(ours)} test windows of fold {fold.number} in {target}, as the run's settings give them",
                    f"{len(theirs)} others",
                    "The run may be of another version of gbvnet; run `gbvnet crossval` again.",
                )


def _constant(folder: Path) -> bool:
    """Whether a training had one class only, and so left no model."""
    try:
        return bool(from_json((folder / "fit.json").read_text()).get("constant"))
    except (OSError, ValueError):
        return False


def draw(rows: np.ndarray, config: ExplainConfig, fold: int) -> np.ndarray:
    """At most config.windows of the rows, at random, sorted. The same for every target of a fold."""
    rng = np.random.default_rng([config.seed, fold])
    return np.sort(rng.permutation(rows)[: config.windows])


# ---------------------------------------------------------------- the folder


def _begin(folder: Path, work: Work) -> bool:
    """Write what is known before, or check that what is there is of the same making. True if all is done already."""
    about = {
        "format": FORMAT,
        "gbvnet": __version__,
        "settings": to_dict(work.config),
        "predictions": work.digest,
        "files": work.files,
        "windows": {str(fold): list(pair) for fold, pair in work.windows.items()},
        "left_out": work.left_out,
    }
    folder.mkdir(exist_ok=True)
    if (folder / ABOUT).exists():
        _refuse_other(folder, about)
    write_json(folder / ABOUT, about)
    return all((folder / name).exists() for name in work.files)


def _refuse_other(folder: Path, about: dict) -> None:
    remedy = f"Delete {folder} to explain the run anew."
    try:
        was = from_json((folder / ABOUT).read_text())
        settings = was["settings"].items()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRun(folder / ABOUT, "what an explanation was made with", f"a damaged file ({error})", remedy) from None
    for name in ("format", "predictions"):
        if was.get(name) != about[name]:
            raise BadRun(folder, f"an explanation of {name} {about[name]}", f"one of {was.get(name)}", remedy)
    for name, value in settings:
        if about["settings"].get(name) != value:
            now = about["settings"].get(name)
            raise BadRun(folder, f"an explanation with {name} = {now}", f"one with {value}", remedy)


def _explain(folder: Path, work: Work, progress: ProgressCallback | None) -> None:
    """Ask each part about each file, then join the parts."""
    asked = {CHANNELS: channels, SALIENCY: saliency, ROBUSTNESS: robustness}
    tables = [name for name in work.files if name in asked]
    count = _Count(progress, sum(_questions(work, name) for name in tables) * len(work.parts))
    parts = folder / "parts"
    parts.mkdir(exist_ok=True)
    for part in work.parts:
        todo = [name for name in tables if not (parts / f"{part.name}-{name}").exists()]
        count.add(sum(_questions(work, name) for name in tables if name not in todo))
        if todo:
            asking = Asking(work, part, count)
            for name in todo:
                table = pd.DataFrame(asked[name](asking))
                _write_table(table.assign(fold=part.fold.number), parts / f"{part.name}-{name}")
    for name in tables:
        _write_table(_joined(work, name, parts), folder / name)
    if FACE in work.files:
        atomic_write(folder / FACE, _png(mean_face(work.store, np.concatenate([p.rows for p in _folds(work)]))))
    shutil.rmtree(parts)


def _folds(work: Work) -> list[Part]:
    """One part a fold."""
    return list({part.fold.number: part for part in work.parts}.values())


def _questions(work: Work, name: str) -> int:
    """How often a system is asked for one file of one part."""
    modality = work.run.modality
    if name == CHANNELS:
        return 1 + len(channels_of(work.store, modality))
    return 1 + work.config.grid**2 if name == SALIENCY else len(list(_spoilt(work.run)))


def _joined(work: Work, name: str, parts: Path) -> pd.DataFrame:
    """The parts of a table, one below the other; of the saliency the mean over all windows of all folds."""
    read = [pd.read_csv(parts / f"{p.name}-{name}", keep_default_na=False, na_values=[""]) for p in work.parts]
    table = pd.concat(read, ignore_index=True)
    table = _over_folds(table) if name == SALIENCY else table
    first = {"dataset": work.store.title, "protocol": work.run.protocol}
    order = [*first, "target", *(["fold"] if "fold" in table else [])]
    table = table.assign(**first)
    return table[[*order, *(column for column in table if column not in order)]]


def _over_folds(table: pd.DataFrame) -> pd.DataFrame:
    """Means of drop and change over windows, of those rated high, of those rated low, and of all."""
    names = ["drop", "change"]
    table = table.assign(**{name: table[name] * table["windows"] for name in names})
    every = pd.concat([table, table.assign(rated="all")])
    sums = every.groupby(["target", "rated", "row", "column"], as_index=False)[[*names, "windows"]].sum()
    return sums.assign(**{name: sums[name] / sums["windows"] for name in names})


def _write_table(table: pd.DataFrame, path: Path) -> None:
    atomic_write(path, table.to_csv(index=False, float_format="%.6g").encode())


def _png(picture: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    content = io.BytesIO()
    imsave(content, picture, format="png")
    return content.getvalue()


# ---------------------------------------------------------------- asking a system


class Altered(Store):
    """A store that is read changed, and is otherwise the store it was made from.

    alter : what becomes of the windows that are read
    without : face or signals, which every window then lacks
    """

    def __init__(self, store: Store, alter: Alter, without: str | None = None):
        self.__dict__.update(store.__dict__)
        self._as_it_is, self._alter, self._without = store, alter, without
        if without:
            self.windows = store.windows.copy()
            self.windows[f"has_{without}"] = False

    @override
    def read(self, rows: ArrayLike, faces: bool = True, signals: bool = True) -> Arrays:
        rows = np.asarray(rows, np.int64)
        pictures, ok, samples = self._alter(rows, self._as_it_is.read(rows, faces, signals))
        if self._without == "face" and pictures is not None:
            pictures, ok = np.zeros_like(pictures), np.zeros_like(ok)
        if self._without == "signals" and samples is not None:
            samples = np.zeros_like(samples)
        return pictures, ok, samples

    @override
    def expression(self, rows: ArrayLike) -> np.ndarray:
        raise GbvnetError("expression coefficients have no pixels and no channels that could be taken away one by one")


class _Count:
    def __init__(self, progress: ProgressCallback | None, total: int):
        self.progress, self.total, self.done = progress, total, 0

    def add(self, n: int, doing: str = "") -> None:
        self.done += n
        if self.progress:
            self.progress(self.done, self.total, doing)


@dataclass(frozen=True)
class Answer:
    """What a system says of n windows."""

    logit: np.ndarray  # (n, K)
    gate_face: float  # mean over the windows; NaN where the system has no gate
    gate_bio: float


class Asking:
    """A fold's system, its test windows, and how it answers when these are changed."""

    def __init__(self, work: Work, part: Part, count: _Count):
        self.store, self.run, self.config, self.part, self.count = work.store, work.run, work.config, part, count
        self.high = pd.DataFrame({target: work.plan.high[target] for target in part.targets})
        self.system: Contract = system(work.run.system).load(part.model, work.run)

    def rows_with(self, has: str) -> np.ndarray:
        """The rows that have a face, or signals: nothing can be taken from the others."""
        return self.part.rows[self.store.windows[f"has_{has}"].to_numpy()[self.part.rows]]

    def y(self, rows: np.ndarray) -> np.ndarray:
        """(n, K) of 0 and 1."""
        return self.high.loc[rows].to_numpy()

    def __call__(self, rows: np.ndarray, alter: Alter | None = None, without: str | None = None) -> Answer:
        store = self.store if alter is None and without is None else Altered(self.store, alter or _as_is, without)
        said = self.system.predict(store, rows)
        self.count.add(1, str(self.part.name))
        p = np.clip(np.asarray(said.p, np.float64).reshape(len(rows), -1), CERTAIN, 1 - CERTAIN)
        return Answer(logit(p), _mean_gate(said.gate_face), _mean_gate(said.gate_bio))


def _mean_gate(gate: np.ndarray | None) -> float:
    """Over the windows that have one, which are those with both modalities; NaN if none has."""
    there = np.empty(0) if gate is None else gate[~np.isnan(gate)]
    return float(there.mean()) if len(there) else np.nan


def _as_is(rows: np.ndarray, found: Arrays) -> Arrays:
    return found


# ---------------------------------------------------------------- channels


def channels(asking: Asking) -> Iterator[dict[str, Any]]:
    """How much worse the system does when a channel shows another window's samples.

    The channel is permuted between the windows (Breiman 2001; model reliance of Fisher, Rudin, Dominici 2019), and not
    set to its training mean. A channel at its mean is a dead electrode: no window that a system was trained on had one,
    and where amplitudes tell, no amplitude is not "unknown" but the strongest of all messages. A permuted channel
    shows real samples of its own kind, and all that is lost is what they say of this window. All channels are permuted
    alike, so that they differ by the channel and not by the draw.

    As with every importance of this kind, channels that tell the same share what they are worth: each can be done
    without as long as the others are there.

    auc_drop, accuracy_drop : before less after; above 0 where the channel helps
    logit_change : mean over windows of |after less before|; says how much is listened to it, to good or bad
    """
    rows = asking.rows_with("signals")
    if not len(rows):
        return
    names = asking.store.settings["channels"]
    donor = np.arange(len(asking.store))
    rng = np.random.default_rng([asking.config.seed, asking.part.fold.number, 1])
    donor[rows] = rng.permutation(rows)
    before, y = asking(rows), asking.y(rows)
    for channel in channels_of(asking.store, asking.run.modality):
        after = asking(rows, _swapped(asking.store, donor, channel))
        for k, target in enumerate(asking.part.targets):
            was, now = _scores(y[:, k], before.logit[:, k]), _scores(y[:, k], after.logit[:, k])
            yield {
                "target": target,
                "channel": names[channel][0],
                "kind": names[channel][1],
                "windows": len(rows),
                **was,
                **{f"{name}_drop": was[name] - now[name] for name in was},
                "logit_change": float(np.abs(after.logit[:, k] - before.logit[:, k]).mean()),
            }


def _swapped(store: Store, donor: np.ndarray, channel: int) -> Alter:
    """One channel of each row is read from its donor."""

    def alter(rows: np.ndarray, found: Arrays) -> Arrays:
        faces, ok, signals = found
        if signals is not None:
            signals[:, channel] = store.read(donor[rows], faces=False)[2][:, channel]
        return faces, ok, signals

    return alter


def _scores(y: np.ndarray, logits: np.ndarray) -> dict[str, float]:
    p = 1 / (1 + np.exp(-logits))
    return {"auc": auc(y, p), "accuracy": accuracy(y, p)}


# ---------------------------------------------------------------- the face


def saliency(asking: Asking) -> Iterator[dict[str, Any]]:
    """How much the logit moves when a patch of the face, in all frames at once, is painted over with its mean colour.

    drop : mean over windows of what the logit loses towards the true label; above 0 where the patch helps
    change : mean of |after less before|
    """
    rows = asking.rows_with("face")
    if not len(rows):
        return
    side, grid = asking.store.settings["face_side"], asking.config.grid
    edges = np.linspace(0, side, grid + 1).round().astype(int)
    before, y = asking(rows), asking.y(rows)
    towards = 2.0 * y - 1  # (n, K)
    for row, column in np.ndindex(grid, grid):
        down, across = (slice(edges[i], edges[i + 1]) for i in (row, column))
        gained = asking(rows, _painted(down, across)).logit - before.logit  # (n, K)
        for k, target in enumerate(asking.part.targets):
            for rated, those in (("high", y[:, k] == 1), ("low", y[:, k] == 0)):
                if those.any():
                    yield {
                        "target": target,
                        "rated": rated,
                        "row": row,
                        "column": column,
                        "windows": int(those.sum()),
                        "drop": float(-(towards * gained)[those, k].mean()),
                        "change": float(np.abs(gained[those, k]).mean()),
                    }


def _painted(down: slice, across: slice) -> Alter:
    def alter(rows: np.ndarray, found: Arrays) -> Arrays:
        faces, ok, signals = found
        if faces is not None:
            faces[:, :, down, across] = _mean_colour(faces, ok).round().astype(np.uint8)[:, None, None, None]
        return faces, ok, signals

    return alter


def _mean_colour(faces: np.ndarray, ok: np.ndarray) -> np.ndarray:
    """(n, F, S, S, 3) uint8 and (n, F) bool -> (n, 3), over the good frames of each window."""
    by_frame = faces.mean(axis=(2, 3))  # (n, F, 3)
    return (by_frame * ok[..., None]).sum(axis=1) / np.maximum(ok.sum(axis=1), 1)[:, None]


def mean_face(store: Store, rows: np.ndarray) -> np.ndarray:
    """(S, S, 3) uint8, the mean over windows of their good frames; windows without a face do not count."""
    side = store.settings["face_side"]
    total, count = np.zeros((side, side, 3)), 0
    for begin in range(0, len(rows), FACES_AT_ONCE):
        faces, ok, _ = store.read(rows[begin : begin + FACES_AT_ONCE], signals=False)
        good = ok / np.maximum(ok.sum(axis=1, keepdims=True), 1)  # (n, F)
        total += np.einsum("nfxyc,nf->xyc", faces, good.astype(np.float32), optimize=True)
        count += int(ok.any(axis=1).sum())
    return (total / max(count, 1)).round().astype(np.uint8)


# ---------------------------------------------------------------- noise


def _spoilt(run: CrossvalConfig) -> Iterator[tuple[str, str, float]]:
    """Modality, how it is spoilt, share of noise: all that is tried on a system of this modality."""
    both = uses_face(run.modality) and uses_signals(run.modality)
    for modality, used in (("face", uses_face(run.modality)), ("signals", uses_signals(run.modality))):
        if used:
            yield from ((modality, "noise", share) for share in NOISE)
            if both and run.system in CAN_DO_WITHOUT and run.model.modality_dropout > 0:
                yield modality, "removed", np.nan


def robustness(asking: Asking) -> Iterator[dict[str, Any]]:
    """How well the system does, and what its gates do, as one modality drowns in noise; and without that modality.

    Signals: white noise of each channel's mean and SD over the training rows. Face: noise of the spectrum, mean and SD
    of natural pictures (`picture_noise`), one pattern for all frames of a window. Noise takes the place of a share of
    the power (see `noisy`); at 1 nothing else is left. A window's noise is the same at each share but for its strength.
    """
    mean_sd = None
    if uses_signals(asking.run.modality):
        train = asking.part.fold.train[asking.store.windows["has_signals"].to_numpy()[asking.part.fold.train]]
        mean_sd = statistics(asking.store, train, range(len(asking.store.settings["channels"])))
    for modality, how, share in _spoilt(asking.run):
        rows = asking.rows_with(modality)
        if not len(rows):
            continue
        if how == "removed":
            answer = asking(rows, without=modality)
        else:
            answer = asking(rows, _with_noise(modality, share, asking.config.seed, mean_sd))
        for k, target in enumerate(asking.part.targets):
            yield {
                "target": target,
                "modality": modality,
                "how": how,
                "noise": share,
                "windows": len(rows),
                **_scores(asking.y(rows)[:, k], answer.logit[:, k]),
                "gate_face": answer.gate_face,
                "gate_bio": answer.gate_bio,
            }


def _with_noise(modality: str, share: float, seed: int, mean_sd: tuple[np.ndarray, np.ndarray] | None) -> Alter:
    def white(rows: np.ndarray, shape: Sequence[int]) -> np.ndarray:
        """Each row has its own noise, whatever is read beside it."""
        drawn = [np.random.default_rng([seed, row]).standard_normal(shape, np.float32) for row in rows.tolist()]
        return np.stack(drawn) if drawn else np.empty((0, *shape), np.float32)

    def alter(rows: np.ndarray, found: Arrays) -> Arrays:
        faces, ok, signals = found
        if modality == "face" and faces is not None:
            centre, sd = (255 * np.array(c, np.float32) for c in (IMAGENET_MEAN, IMAGENET_SD))
            _, _, side, _, _ = faces.shape
            pattern = picture_noise(torch.from_numpy(white(rows, (3, side, side)))).numpy()  # (n, 3, S, S)
            pattern = pattern.transpose(0, 2, 3, 1)[:, None]  # the same in all frames
            mixed = noisy(faces.astype(np.float32), share, centre, sd, pattern)
            faces = mixed.round().clip(0, 255).astype(np.uint8)
        if modality == "signals" and signals is not None and mean_sd is not None:
            mean, sd = (c.astype(np.float32)[:, None] for c in mean_sd)
            signals = noisy(signals, share, mean, sd, white(rows, signals.shape[1:]))
        return faces, ok, signals

    return alter
