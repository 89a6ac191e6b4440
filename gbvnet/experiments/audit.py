"""How much of a score is leakage: the same system on the same windows under every protocol, and probes of the leak.

AUDIT/audit.json                   what was run, and how well people and trials can be told from a window
AUDIT/ladder/<protocol>            the system under each protocol
AUDIT/majority/<which>-<protocol>  what constant guesses score there
AUDIT/shuffled/window-<k>          the system under the LEAKY protocol, on labels that mean nothing
AUDIT/baseline/<how>-<system>-<protocol>   shuffled labels again, with the baseline taken off in three ways
AUDIT/report/                      report.html

Each is an ordinary run folder, so an audit resumes as a cross-validation does, and any report can show its parts.
"""

import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ..config import AuditConfig, CrossvalConfig, to_dict, uses_face, uses_signals
from ..errors import BadConfig, LeakySplit
from ..evaluation.plan import choose_windows, make_plan
from ..evaluation.predictions import FILE as PREDICTIONS
from ..io.atomic import remove_stale_temp_files
from ..parallel.tasks import Jobs
from ..progress import ProgressCallback
from ..report.audit_section import FILE, FORMAT, Audit, read_audit
from ..report.report import write_report
from ..store.reader import Store
from ..store.rebaselined import Rebaselined
from ..systems.features.extract import spectral
from .crossval import cross_validate
from .run_folder import write_json
from .run_group import begin_series, numbered

log = logging.getLogger(__name__)

BASELINES = ("none", "mean", "template")
LEARNERS = ("nearest", "ridge", "gbvnet")  # who is asked to find the baseline's mark; the last is the signal branch
RUNG_WINDOWS = 4000  # the baseline's rung takes whole people up to so many windows: a nearest neighbour keeps them all
PROBED_WINDOWS = 20_000  # the same for the identity probes


@dataclass(frozen=True)
class Step:
    """One cross-validation of an audit. baseline: what the signals are freed of instead of the store's own choice."""

    role: str
    name: str
    config: CrossvalConfig
    baseline: str | None = None

    @property
    def folder(self) -> str:
        return f"{self.role}/{self.name}"

    @property
    def probe(self) -> bool:
        """Whether its models are of no use to anybody, and large."""
        return self.role == "baseline"


def audit(
    store: Store, folder: str | Path, config: AuditConfig, jobs: Jobs = 1, progress: ProgressCallback | None = None
) -> Audit:
    """Run all of an audit that is not done yet, and write its report.

    Protocols and rungs that the store cannot have (too few people for the folds, windows that are no whole seconds, no
    signals) are left out, and the audit says why. Raises what cross_validate raises.
    """
    folder = Path(folder)
    steps, left_out = plan_audit(store, config)
    settings = {name: value for name, value in to_dict(config).items() if name != "protocol"}
    held = begin_series(folder / FILE, "an audit", store, settings, FORMAT)
    for number, step in enumerate(steps, 1):
        if not (folder / step.folder / PREDICTIONS).exists():
            log.info("audit, %d of %d: %s", number, len(steps), step.folder)
        seen = Rebaselined(store.path, step.baseline) if step.baseline else store
        cross_validate(seen, folder / step.folder, step.config, jobs, numbered(progress, number, len(steps)))
        if step.probe:
            for model in (folder / step.folder).glob("fold*/*/model"):
                shutil.rmtree(model)
    runs = [{"role": s.role, "name": s.name, "baseline": s.baseline} for s in steps]
    if config.identities and not held.get("identities"):
        log.info("audit: telling people and trials from their windows")
        held["identities"] = identities(store, config)
    remove_stale_temp_files(folder)
    write_json(folder / FILE, held | {"runs": runs, "left_out": left_out})
    found = read_audit(folder)
    write_report([found], folder / "report")
    return found


# --- what is run ---


def plan_audit(store: Store, config: AuditConfig) -> tuple[list[Step], list[str]]:
    """All cross-validations of an audit, and what is left out and why."""
    steps: list[Step] = []
    left_out: list[str] = []
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
            Step("majority", f"{which}-{protocol}", replace(real, system=which))
            for which in ("majority", "subject-majority")
        ]
    steps += [
        Step("shuffled", f"window-{k}", config.crossval(protocol="window", shuffle_labels=k))
        for k in range(1, config.shuffles + 1)
    ]
    if config.baselines:
        try:
            steps += _baseline_steps(store, config)
        except BadConfig as error:
            left_out.append(f"the baseline's rung: {error}")
    return steps, left_out


def _baseline_steps(store: Store, config: AuditConfig) -> Iterator[Step]:
    if not store.settings["prepare"]["signals"]:
        raise BadConfig(f"{store.path} was prepared without signals")
    Rebaselined(store.path, "template")  # or a BadConfig that says why not
    people = _whole_people(store, config, RUNG_WINDOWS)
    for protocol in ("window", "trial"):
        for how in BASELINES:
            for learner in LEARNERS:
                asked = config.crossval(
                    protocol=protocol, system=learner, modality="bio", shuffle_labels=1, subjects=people
                )
                yield Step("baseline", f"{how}-{learner}-{protocol}", asked, how)


def _whole_people(store: Store, config: AuditConfig, most: int) -> tuple[str, ...]:
    """As many people, by name, as together have at most so many windows; at least one."""
    windows, _ = choose_windows(store, config)
    counts = windows["subject"].value_counts().sort_index()
    return tuple(counts.index[: max(1, int((counts.cumsum() <= most).sum()))])


# --- identity probes ---


def identities(store: Store, config: AuditConfig) -> list[dict]:
    """How well people, and trials, can be told from one window: what a model may use instead of emotion.

    Linear discriminant analysis on mean, SD and band powers of each channel and a 16-pixel picture of the face. People
    are told on trials that were not trained on; trials on windows that were not, as the LEAKY protocol deals them.
    """
    windows, _ = choose_windows(store, config)
    windows = windows[windows["subject"].isin(_whole_people(store, config, PROBED_WINDOWS))]
    rows = windows.index.to_numpy(np.int64)
    found = []
    for modality in ("face", "bio"):
        part = uses_face(config.modality) if modality == "face" else uses_signals(config.modality)
        if not part:
            continue
        x = spectral(store, rows, modality)
        for who, group in (("subject", "recording"), ("recording", None)):
            names = windows[who].to_numpy(str)
            if len(np.unique(names)) < 2:
                continue
            told = _told(x, names, None if group is None else windows[group].to_numpy(str), config)
            classes = len(np.unique(names))
            what = "person" if who == "subject" else "trial"
            found.append(
                {"what": what, "modality": modality, "accuracy": told, "chance": 1 / classes, "classes": classes}
                | {"windows": len(rows)}
            )
    return found


def _told(x: np.ndarray, names: np.ndarray, groups: np.ndarray | None, config: AuditConfig) -> float:
    """Share of windows whose name is told right, over folds that share no group (or, without groups, no window)."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.model_selection import GroupKFold, KFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    splits = KFold(config.folds, shuffle=True, random_state=config.seed) if groups is None else GroupKFold(config.folds)
    told = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))
    return float((cross_val_predict(told, x, names, groups=groups, cv=splits) == names).mean())
