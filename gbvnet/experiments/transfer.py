"""Transfer from one corpus to another: a system is trained on all of the first and tested on all of the second.

The run folder is that of a cross-validation with one fold, and `gbvnet report` reads it as such. Its protocol is
subject+stimulus, as neither a subject nor a stimulus is on both sides.
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
from ..store.window_source import WindowSource
from ..systems import system, validate_config
from .crossval import run_plan

PROTOCOL: Protocol = "subject+stimulus"
# Settings of a cross-validation that select the tested windows; here the two stores do.
UNUSED = ("folds", "stratify", "fixed", "subjects")


def transfer(
    first: WindowSource,
    second: WindowSource,
    run_dir: str | Path,
    config: CrossvalConfig | None = None,
    jobs: Jobs = 1,
    progress: ProgressCallback | None = None,
) -> Path:
    """Train the system on all of the first store, test it on all of the second, and write a run folder.

    Both are read with the channels that they share by name and kind, and with the number of face frames of the one
    with fewer. A share `config.validation` of the first store's trials is held out to choose the epoch. An
    interrupted run continues where it stopped.

    config : as for a cross-validation; protocol, scope and transfer.UNUSED must be left at their defaults
    jobs, progress : as in `crossval.cross_validate`

    Returns the path of predictions.parquet. Raises BadConfig or BadStore if the two stores cannot be read as one,
    LeakySplit if they share subjects or stimuli, BadRun if the folder holds another run.
    """
    config = validate_config(config or CrossvalConfig())
    _refuse_folds(config)
    config = replace(config, protocol=PROTOCOL)
    joined, warnings = join(first, second, faces=uses_face(config.modality), signals=uses_signals(config.modality))
    config = validate_config(config, joined)
    warnings += _scale_warnings(joined, config)
    return run_plan(joined, run_dir, config, make_transfer_plan(joined, config, warnings), jobs, progress)


def make_transfer_plan(joined: JoinedStore, config: CrossvalConfig, warnings: list[str]) -> Plan:
    """Return the plan of one fold, in which all windows of the second store are tested.

    warnings : to be added to the plan's own. Raises BadConfig or LeakySplit.
    """
    plan = make_plan_without_folds(joined, config)
    test = plan.windows.index.to_numpy() >= len(joined.first)  # rows are the first store's, then the second's
    for store, rows in ((joined.first, ~test), (joined.second, test)):
        if not rows.any():
            reasons = "; ".join(f"{n} have {reason}" for reason, n in plan.excluded.items())
            raise BadConfig(
                f"{store.path}: none of its {len(store)} windows can be used. Of both stores' windows {reasons}"
            )
    try:
        fold = splits.hold_out(plan.windows, test, config)
    except LeakySplit as error:
        if joined.first.settings["dataset"] != joined.second.settings["dataset"]:
            raise
        raise LeakySplit(
            f"{joined.first.path} and {joined.second.path} are of one corpus, {joined.first.settings['dataset']}, "
            f"where equal names mean the same subject and the same stimulus: {error}"
        ) from None
    return replace(plan, folds=[fold], warnings=(*plan.warnings, *warnings), unused=UNUSED)


def _refuse_folds(config: CrossvalConfig) -> None:
    default = CrossvalConfig()
    for name in ("protocol", "scope", *UNUSED):
        given = getattr(config, name)
        if given not in (getattr(default, name), PROTOCOL):
            raise BadConfig(f"a transfer trains on one store and tests on the other: leave {name} {given} out")


def _scale_warnings(joined: JoinedStore, config: CrossvalConfig) -> list[str]:
    """Two corpora were recorded with different amplifiers, perhaps in different units."""
    if not uses_signals(config.modality):
        return []
    first, second = (store.settings["dataset"] for store in (joined.first, joined.second))
    if config.train.normalise == "subject":
        return []  # the plan says what that means
    if not system(config.system).normalises_by_subject:
        return [f"signals of {second} are compared with those of {first}, another amplifier and perhaps another unit"]
    return [
        f"signals of {second} are z-scored by the mean and SD of {first}, another amplifier and perhaps another unit; "
        "--train.normalise subject scales each subject separately, without labels, and is recommended"
    ]
