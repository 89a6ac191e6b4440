"""Audit: how much of a score is leakage. The same system on the same windows under every protocol, and controls.

AUDIT/audit.json                   what was run, and how well subjects and trials can be identified from a window
AUDIT/ladder/<protocol>            the system under each protocol (the protocol comparison)
AUDIT/majority/<which>-<protocol>  the scores of the majority class there
AUDIT/shuffled/window-<k>          the system under the LEAKY protocol, on shuffled labels
AUDIT/baseline/<how>-<system>-<protocol>   shuffled labels again, with the baseline subtracted in three ways
AUDIT/seed-<k>/<role>/<name>       ladder, majority and shuffled at a further seed, if there are several
AUDIT/report/                      report.html

Each is an ordinary run folder: an audit resumes as a cross-validation does, and any report can show its parts.

With several seeds all that stands in the comparison of protocols is repeated: the system itself, the same on shuffled
labels, and the majority class, whose score depends on the folds and so on the seed. The comparison of baselines and the
identification of subjects and trials are not: they show whether information is there at all, a difference between 0.5
and nearly 1 in the first, and neither is compared with another score.
"""

import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..config import AuditConfig, CrossvalConfig, to_dict, uses_face, uses_signals
from ..errors import BadConfig, GbvnetError, LeakySplit
from ..evaluation.plan import choose_windows, make_plan
from ..evaluation.predictions import FILE as PREDICTIONS
from ..evaluation.targets import resolve
from ..io.atomic import remove_stale_temp_files
from ..parallel.tasks import Jobs
from ..parallel.worker_pool import kept_workers
from ..progress import ProgressCallback
from ..report.audit_results import FILE, FORMAT, Audit, read_audit
from ..report.report import write_report
from ..store.rebaselined import Rebaselined
from ..store.window_source import WindowSource
from ..systems.features.extract import spectral_features
from .crossval import cross_validate
from .run_folder import write_json
from .run_group import begin_run_group, numbered_progress
from .seed_group import record_seeds, seeds_from

log = logging.getLogger(__name__)

BASELINES = ("none", "mean", "template")
LEARNERS = ("nearest", "ridge", "gbvnet")  # systems of the baseline comparison; the last is the signal branch alone
REPEATED = ("ladder", "majority", "shuffled")  # roles that are run at every seed
BASELINE_WINDOWS = 4000  # at most, of whole subjects, in the baseline comparison: nearest neighbours keep them all
IDENTIFICATION_WINDOWS = 20_000  # the same for the identification of subjects and trials


@dataclass(frozen=True)
class Step:
    """One cross-validation of an audit.

    baseline : the baseline correction of the signals, where it is another than the store's
    further_seed : whether another seed comes first, whose folders are the audit's own
    """

    role: str
    name: str
    config: CrossvalConfig
    baseline: str | None = None
    further_seed: bool = False

    @property
    def folder(self) -> str:
        """Its run folder inside the audit's."""
        return f"seed-{self.config.seed}/{self.title}" if self.further_seed else self.title

    @property
    def title(self) -> str:
        """Role and name, which are the same at every seed."""
        return f"{self.role}/{self.name}"

    @property
    def models_unused(self) -> bool:
        """Whether its models are needed no more once their predictions are made; they are large."""
        return self.role == "baseline"


def audit(
    store: WindowSource,
    folder: str | Path,
    config: AuditConfig,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
    seeds: int = 1,
) -> Audit:
    """Run the parts of an audit that are not finished, and write its report.

    seeds : how many, from `config.seed` on; may be more than at an earlier call

    Protocols and comparisons that the store does not allow (too few subjects for the folds, windows that are no whole
    seconds, no signals) are left out, and the audit says why. Raises what `cross_validate` raises; with several seeds
    a part that fails at one seed does not stop the others, and its error is in the audit's `failed`; one that fails at
    all of them is raised in the end.
    """
    folder, config = Path(folder), resolve(config, store)
    chosen = seeds_from(config.seed, seeds)
    steps, left_out = plan_audit(store, config)
    settings = {name: value for name, value in to_dict(config).items() if name != "protocol"}
    record = begin_run_group(folder / FILE, "an audit", store, settings, FORMAT)
    record = record_seeds(folder / FILE, record, seeds, "an audit")
    failed = _run(store, folder, [*steps, *_at_further_seeds(steps, chosen[1:])], jobs, progress)
    if config.identities and not record.get("identities"):
        log.info("audit: identifying subjects and trials from their windows")
        record["identities"] = identification_accuracies(store, config)
    remove_stale_temp_files(folder)
    runs = {"runs": _finished_runs(steps, chosen, failed), "left_out": left_out}
    record = {name: value for name, value in record.items() if name != "failed"} | runs
    write_json(folder / FILE, record | ({"failed": failed} if failed else {}))
    result = read_audit(folder)
    write_report([result], folder / "report")
    return result


@kept_workers()
def _run(
    store: WindowSource, folder: Path, steps: Sequence[Step], jobs: Jobs, progress: ProgressCallback | None
) -> dict[str, str]:
    """Run the cross-validations. Returns the errors of those that failed, if there are several seeds, by folder."""
    several, failed = any(step.further_seed for step in steps), {}
    for number, step in enumerate(steps, 1):
        run = folder / step.folder
        if not (run / PREDICTIONS).exists():
            log.info("audit, %d of %d: %s", number, len(steps), step.folder)
        windows = Rebaselined(store, step.baseline) if step.baseline else store
        try:
            cross_validate(windows, run, step.config, jobs, numbered_progress(progress, number, len(steps)))
        except GbvnetError as error:
            if not several:
                raise
            log.error("%s: %s", step.folder, error)
            failed[step.folder] = str(error)
        if step.models_unused:
            for model in run.glob("fold*/*/model"):
                shutil.rmtree(model)
    return failed


def _at_further_seeds(steps: Sequence[Step], seeds: Sequence[int]) -> Iterator[Step]:
    """What is repeated at each further seed."""
    for seed in seeds:
        for step in steps:
            if step.role in REPEATED:
                yield replace(step, config=replace(step.config, seed=seed), further_seed=True)


def _finished_runs(steps: Sequence[Step], seeds: Sequence[int], failed: dict[str, str]) -> list[dict]:
    """What audit.json says of the runs; with several seeds also at which of them each is finished.

    Raises GbvnetError for one that failed at every seed.
    """
    runs = []
    for step in steps:
        each = [step, *_at_further_seeds([step], seeds[1:])]
        done = [s.config.seed for s in each if s.folder not in failed]
        if not done:
            raise GbvnetError(f"{step.title} failed: {failed[each[0].folder]} The others are kept; run again.")
        of_seeds = {"seeds": done} if len(seeds) > 1 else {}
        runs.append({"role": step.role, "name": step.name, "baseline": step.baseline} | of_seeds)
    return runs


# --- the cross-validations ---


def plan_audit(store: WindowSource, config: AuditConfig) -> tuple[list[Step], list[str]]:
    """Return all cross-validations of an audit, and what is left out, each with the reason.

    Raises BadConfig if every protocol but `window` is left out.
    """
    steps: list[Step] = []
    left_out: list[str] = []
    unscaled = replace(config.train, normalise="train")  # majorities read no signals
    for protocol in config.protocols:
        real = config.crossval(protocol=protocol)
        try:
            make_plan(store, real)
        except LeakySplit as error:
            if protocol == "window":
                raise
            left_out.append(f"protocol {protocol}: {error}")
            continue
        steps.append(Step("ladder", protocol, real))
        steps += [
            Step("majority", f"{which}-{protocol}", replace(real, system=which, options=None, train=unscaled))
            for which in ("majority", "subject-majority")
        ]
    if not any(step.role == "ladder" and step.name != "window" for step in steps):
        raise BadConfig(f"{store.path}: none of the protocols without a leak is possible: {'; '.join(left_out)}")
    steps += [
        Step("shuffled", f"window-{k}", config.crossval(protocol="window", shuffle_labels=k))
        for k in range(1, config.shuffles + 1)
    ]
    if config.baselines:
        try:
            steps += _baseline_steps(store, config)
        except (BadConfig, LeakySplit) as error:
            left_out.append(f"the baseline comparison: {error}")
    return steps, left_out


def _baseline_steps(store: WindowSource, config: AuditConfig) -> Iterator[Step]:
    if not store.settings["prepare"]["signals"]:
        raise BadConfig(f"{store.path} was prepared without signals")
    before_s = store.settings["baseline_s"]
    if before_s < 1:  # otherwise the same signals would stand in the report as three
        nothing = "a template subtracts" if before_s > 0 else "mean and template subtract"
        raise BadConfig(f"{store.path} has {before_s:g} s before each stimulus: {nothing} nothing, and 1 s is needed")
    Rebaselined(store, "template")  # or a BadConfig that says why not
    subjects = _baseline_subjects(store, config)
    for protocol in ("window", "trial"):
        for how in BASELINES:
            for learner in LEARNERS:
                of_step = _baseline_config(config, protocol, learner, subjects)
                yield Step("baseline", f"{how}-{learner}-{protocol}", of_step, how)


def _baseline_config(config: AuditConfig, protocol: str, learner: str, subjects: tuple[str, ...]) -> CrossvalConfig:
    # Nearest neighbours and the ridge classifier do not scale by subject, and all learners see the same signals.
    return config.crossval(
        protocol=protocol,
        system=learner,
        options=None,
        modality="bio",
        shuffle_labels=1,
        subjects=subjects,
        train=replace(config.train, normalise="train"),
    )


def _baseline_subjects(store: WindowSource, config: AuditConfig) -> tuple[str, ...]:
    """The first subjects that together have at most BASELINE_WINDOWS; more of them, where their trials are too few for
    the folds. Raises LeakySplit if the trials of all subjects are."""
    fewest, names = (_whole_subjects(store, config, most) for most in (BASELINE_WINDOWS, len(store)))
    for count in range(len(fewest), len(names)):
        with suppress(LeakySplit):
            make_plan(store, _baseline_config(config, "trial", LEARNERS[0], names[:count]))
            return names[:count]
    make_plan(store, _baseline_config(config, "trial", LEARNERS[0], names))
    return names


def _whole_subjects(store: WindowSource, config: AuditConfig, max_windows: int) -> tuple[str, ...]:
    """The first subjects, by name, that together have at most so many windows; at least one subject."""
    windows, _ = choose_windows(store, config)
    counts = windows["subject"].value_counts().sort_index()
    return tuple(counts.index[: max(1, int((counts.cumsum() <= max_windows).sum()))])


# --- identification ---


def identification_accuracies(store: WindowSource, config: AuditConfig) -> list[dict]:
    """Return how well subjects, and trials, can be identified from one window: what a model may use besides emotion.

    Linear discriminant analysis on mean, SD and band powers of each channel and a 16-pixel picture of the face.
    Subjects are identified on trials that were not trained on; trials on windows that were not, which are split as by
    the LEAKY protocol.
    """
    windows, _ = choose_windows(store, config)
    windows = windows[windows["subject"].isin(_whole_subjects(store, config, IDENTIFICATION_WINDOWS))]
    rows = windows.index.to_numpy(np.int64)
    used = {"face": uses_face(config.modality), "bio": uses_signals(config.modality)}
    results = []
    for modality in (name for name in used if used[name]):
        x = spectral_features(store, rows, modality)
        for kind, column, group in (("person", "subject", "recording"), ("trial", "recording", None)):
            names = windows[column].to_numpy(str)
            classes = len(np.unique(names))
            if classes < 2:
                continue
            groups = None if group is None else windows[group].to_numpy(str)
            accuracy = _identification_accuracy(x, names, groups, config)
            if accuracy is None:
                log.warning("audit: too few windows of each %s to identify them by %s; left out", column, modality)
                continue
            results.append(
                {"what": kind, "modality": modality, "accuracy": accuracy, "chance": 1 / classes, "classes": classes}
                | {"windows": len(rows)}
            )
    return results


def _identification_accuracy(
    x: np.ndarray, names: np.ndarray, groups: np.ndarray | None, config: AuditConfig
) -> float | None:
    """Share of windows (rows of x) whose name is predicted, over folds without common groups (or windows, if None).

    None where a fold has nothing to learn from: one name, or one window of each, as where a trial has one window.
    """
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if groups is None:
        splits = KFold(min(config.folds, len(names)), shuffle=True, random_state=config.seed)
    else:
        splits = GroupKFold(min(config.folds, len(np.unique(groups))))
    sides = [names[train] for train, _ in splits.split(x, names, groups)]
    if any(not 1 < len(np.unique(side)) < len(side) for side in sides):
        return None
    model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    return float((cross_val_predict(model, x, names, groups=groups, cv=splits) == names).mean())
