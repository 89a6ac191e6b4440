"""From one corpus to another: a system learns from all of the first and is tested on all of the second.

The run folder is that of a cross-validation with one fold, and `gbvnet report` reads it as such. Under protocol
subject+stimulus, as neither a person nor a stimulus is on both sides.
"""

from dataclasses import replace
from pathlib import Path

from ..config import CrossvalConfig, Protocol, uses_face, uses_signals
from ..errors import BadConfig, LeakySplit
from ..evaluation import splits
from ..evaluation.plan import Plan, make_plan_without_folds
from ..parallel.tasks import Jobs
from ..progress import ProgressCallback
from ..store.joined import JoinedStore, join
from ..store.reader import Store
from ..systems import require_sense
from .crossval import run_plan

PROTOCOL: Protocol = "subject+stimulus"
# Settings of a cross-validation that say who is tested; here the two stores do.
UNUSED = ("folds", "stratify", "fixed", "subjects")


def transfer(
    first: Store,
    second: Store,
    run_dir: str | Path,
    config: CrossvalConfig | None = None,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Path:
    """Train the system on all of the first store, test it on all of the second, and write a run folder.

    Both are seen through the channels that they share by name and kind, and through as many face frames as the one
    with fewer has. A share `config.validation` of the first store's trials is held out to choose the epoch. A run
    that was cut off goes on where it stopped.

    config : as for a cross-validation; protocol, scope and transfer.UNUSED must be left at their defaults
    jobs, progress : as in `crossval.cross_validate`

    Returns the path of predictions.parquet. Raises BadConfig or BadStore if the two stores cannot be read as one,
    LeakySplit if they share people or stimuli, BadRun if the folder holds another run.
    """
    config = config or CrossvalConfig()
    require_sense(config)
    _refuse_folds(config)
    config = replace(config, protocol=PROTOCOL)
    joined, findings = join(first, second, faces=uses_face(config.modality), signals=uses_signals(config.modality))
    findings += _about_scale(joined, config)
    return run_plan(joined, run_dir, config, make_transfer_plan(joined, config, findings), jobs, progress)


def make_transfer_plan(joined: JoinedStore, config: CrossvalConfig, findings: list[str]) -> Plan:
    """The plan of one fold: all windows of the second store are tested. Raises BadConfig or LeakySplit."""
    plan = make_plan_without_folds(joined, config)
    test = plan.windows.index.to_numpy() >= len(joined.first)  # rows are the first store's, then the second's
    for store, rows in ((joined.first, ~test), (joined.second, test)):
        if not rows.any():
            why = "; ".join(f"{n} have {reason}" for reason, n in plan.excluded.items())
            raise BadConfig(
                f"{store.path}: none of its {len(store)} windows can be used. Of both stores' windows {why}"
            )
    try:
        fold = splits.hold_out(plan.windows, test, config)
    except LeakySplit as error:
        if joined.first.settings["dataset"] != joined.second.settings["dataset"]:
            raise
        raise LeakySplit(
            f"{joined.first.path} and {joined.second.path} are of one corpus, {joined.first.settings['dataset']}, "
            f"where equal names mean the same person and the same stimulus: {error}"
        ) from None
    return replace(plan, folds=[fold], warnings=(*plan.warnings, *findings), unused=UNUSED)


def _refuse_folds(config: CrossvalConfig) -> None:
    usual = CrossvalConfig()
    for name in ("protocol", "scope", *UNUSED):
        given = getattr(config, name)
        if given not in (getattr(usual, name), PROTOCOL):
            raise BadConfig(f"a transfer learns from one store and tests on the other: leave {name} {given} out")


def _about_scale(joined: JoinedStore, config: CrossvalConfig) -> list[str]:
    """Two corpora have other amplifiers, and other units."""
    if not uses_signals(config.modality):
        return []
    first, second = (store.settings["dataset"] for store in (joined.first, joined.second))
    if config.train.normalise == "subject":
        return [
            "transductive: each person's signals are z-scored by the mean and SD of all their own windows, the tested "
            "ones included; no label is used"
        ]
    return [
        f"signals of {second} are z-scored by the mean and SD of {first}, another amplifier and perhaps another unit; "
        "--train.normalise subject scales each person by themselves, without labels, and is recommended"
    ]
