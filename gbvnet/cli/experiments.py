"""Commands for experiments: crossval, compare, audit, transfer, report, explain."""

from pathlib import Path

from ..errors import BadConfig
from .command import Run, command
from .options import add_jobs, add_seeds, add_settings, chosen_settings
from .progress import bar, say


@command(
    "crossval",
    "cross-validate a system on a store; resumes after an interruption",
    """
    gbvnet crossval /data/deap.store runs/trial                              # no leak: no trial on both sides
    gbvnet crossval /data/deap.store runs/window --protocol window           # the paper's, which leaks
    gbvnet crossval /data/deap.store runs/bio --modality bio --target valence --model.variant micro
    gbvnet crossval /data/deap.store runs/five --seeds 5                     # runs/five/seed-0 ... and their spread
    gbvnet crossval /data/deap.store runs/half --prune 0.5                   # half of the channels, pruned in each fold
    """,
)
def _crossval(parser) -> Run:
    from ..config import CrossvalConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("run", type=Path, help="the folder of the run, to create or to resume")
    add_settings(parser, CrossvalConfig)
    add_seeds(parser)
    add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.seed_group import cross_validate_seeds
        from ..report.report import summary_text
        from ..store.feature_cache import FeatureCache
        from ..store.reader import open_store

        config, store = chosen_settings(args, CrossvalConfig), FeatureCache(open_store(args.store))
        with bar("trainings", unit="epochs") as progress:
            done = cross_validate_seeds(store, args.run, config, args.seeds, args.jobs, progress)

        say(summary_text(list(done.runs.values())))
        for error in done.errors.values():
            say(f"BAD  {error}")
        return 1 if done.errors else 0

    return run


@command(
    "tune",
    "search for settings in each fold, by its training side alone, and cross-validate with those chosen",
    """
    gbvnet tune /data/deap.store runs/tuned --space space.yaml --target valence --protocol subject
    gbvnet tune /data/deap.store runs/trees --space trees.yaml --system yuvaraj-like --modality eeg --jobs 2

    space.yaml:  train.learning_rate: {low: 1e-4, high: 1e-2, log: true}
                 train.batch_size: {low: 16, high: 128, step: 16}
                 model.variant: [micro, small]
    trees.yaml:  options.classifier: [cart, svm]          # an option of the system
    """,
)
def _tune(parser) -> Run:
    from ..config import PRUNE_SETTINGS, TuneConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("run", type=Path, help="the folder of the run, to create or to resume")
    parser.add_argument("--space", type=Path, help="a YAML file with the settings to search and their values")
    add_settings(parser, TuneConfig, skip={"recipe", *PRUNE_SETTINGS})
    add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        if args.space is None:
            raise BadConfig("give --space FILE, the settings to search and their values (see tune --help)")
        from ..experiments.tune import tune
        from ..report.report import summary_text
        from ..store.feature_cache import FeatureCache
        from ..store.reader import open_store

        config, store = chosen_settings(args, TuneConfig), FeatureCache(open_store(args.store))
        with bar("tuning", unit="trainings") as progress:
            tune(store, args.run, config, args.space, args.jobs, progress)
        say(summary_text([args.run]))
        return 0

    return run


@command(
    "compare",
    "compare systems on the same folds: scores, ranks over subjects, costs",
    """
    gbvnet compare deap.store compared                                     # all systems, protocol trial
    gbvnet compare deap.store compared --systems gbvnet,deepvanet,expression,majority
    gbvnet compare deap.store compared --protocol subject --target valence --jobs 2
    gbvnet compare deap.store compared --seeds 5                           # also later: grows what is there
    """,
)
def _compare(parser) -> Run:
    from ..config import PRUNE_SETTINGS, CompareConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("comparison", type=Path, help="the folder of the comparison, to create or to resume")
    skip = {"system", "modality", "joint", "shuffle_labels", "recipe", *PRUNE_SETTINGS}
    add_settings(parser, CompareConfig, skip=skip)
    add_seeds(parser)
    add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.compare import compare
        from ..report.summary import terminal_table
        from ..store.feature_cache import FeatureCache
        from ..store.reader import open_store

        config, store = chosen_settings(args, CompareConfig), FeatureCache(open_store(args.store))
        with bar("comparison", unit="epochs") as progress:
            report = compare(store, args.comparison, config, args.jobs, progress, args.seeds)
        say(terminal_table(report.results, 110))
        for error in report.errors:
            say(f"BAD  {error}")
        say("")
        say(str(report.path))
        return 1 if report.errors else 0

    return run


@command(
    "audit",
    "measure how much of a score is leakage: all protocols, shuffled labels, identity; or check a split file",
    """
    gbvnet audit /data/deap.store audits/deap                                 # then open audits/deap/report/report.html
    gbvnet audit /data/deap.store audits/quick --model.variant micro --folds 3 --protocols window,trial
    gbvnet audit --splits theirs/splits.json                                  # or a table of predictions: Parquet, CSV
    """,
)
def _audit(parser) -> Run:
    from ..config import PRUNE_SETTINGS, AuditConfig

    parser.add_argument("paths", type=Path, nargs="*", metavar="STORE AUDIT", help="a store; the folder of the audit")
    parser.add_argument("--splits", type=Path, default=None, help="check this split file or predictions table instead")
    skip = {"protocol", "scope", "fixed", "joint", "shuffle_labels", "recipe", *PRUNE_SETTINGS}
    add_settings(parser, AuditConfig, skip=skip)
    add_seeds(parser, fixed=False)
    add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        if args.splits:
            from ..evaluation.split_check import check_splits

            checked = check_splits(args.splits)
            say(str(checked))
            return 1 if checked.leaks else 0
        if len(args.paths) != 2:
            raise BadConfig("audit: give a store and the folder of the audit; or --splits FILE")
        from ..experiments.audit import audit
        from ..report.audit_section import terminal_table
        from ..store.reader import open_store

        config, store = chosen_settings(args, AuditConfig), open_store(args.paths[0])
        with bar("audit", unit="epochs") as progress:
            done = audit(store, args.paths[1], config, args.jobs, progress, args.seeds)
        say(terminal_table(done))
        for where, error in done.failed.items():
            say(f"BAD  {where}: {error}")
        say("")
        say(str(args.paths[1] / "report" / "report.html"))
        return 1 if done.failed else 0

    return run


@command(
    "transfer",
    "train a system on one store and test it on another, with the channels and faces that both have",
    """
    gbvnet transfer deap.store mahnob.store runs/transfer --train.normalise subject
    gbvnet transfer mahnob.store deap.store runs/back --train.normalise subject --modality eeg

    normalise subject is recommended here for networks that read signals: two corpora differ in amplifiers and units. It
    scales the signals of each subject by their own mean and SD, without labels.
    """,
)
def _transfer(parser) -> Run:
    from ..config import CrossvalConfig

    parser.add_argument("first", type=Path, metavar="STORE_A", help="the store to train on")
    parser.add_argument("second", type=Path, metavar="STORE_B", help="the store to test on")
    parser.add_argument("run", type=Path, help="the folder of the run, to create or to resume")
    # The two stores define the split.
    add_settings(parser, CrossvalConfig, skip={"protocol", "scope", "folds", "stratify", "fixed", "subjects", "recipe"})
    add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.transfer import transfer
        from ..report.report import summary_text
        from ..store.reader import open_store

        config = chosen_settings(args, CrossvalConfig)
        with bar("trainings", unit="epochs") as progress:
            transfer(open_store(args.first), open_store(args.second), args.run, config, args.jobs, progress)
        say(summary_text([args.run]))
        return 0

    return run


@command(
    "report",
    "write one self-contained report.html of one or more runs, with tables and figures",
    """
    gbvnet report runs/* report
    gbvnet report theirs.csv runs/trial report       # predictions of any other program, scored beside the run

    A file of predictions (.csv, .tsv, .parquet) has a row a tested window: recording (or subject and trial), window,
    fold, and p (binary), p_0 ... p_{K-1} (classes) or y_hat (numbers); target if there are several. Labels are the
    run's. The protocol is what its folds separate. docs/outside.md has all columns.

    runs that differ by their seed alone are shown as one result: mean, and spread over seeds

    checklist.md beside the page lists what a paper has to state: filled in from the runs, with blanks for the authors
    """,
)
def _report(parser) -> Run:
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="RUN ... REPORT",
        help="run or audit folders, runs of several seeds and files of predictions, then the folder to write",
    )  # fmt: skip

    def run(args) -> int:
        from ..report.report import write_report

        if len(args.paths) < 2:
            raise BadConfig("report: give at least one run, and then the folder to write")
        *runs, destination = args.paths
        report = write_report(runs, destination)
        for error in report.errors:
            say(f"BAD  {error}")
        for warning in report.warnings:
            say(f"WARNING  {warning}")
        say(str(report.path))
        return 1 if report.errors else 0

    return run


@command(
    "explain",
    "measure what a run's models depend on: channels, face regions, noise; `gbvnet report` shows it",
    """
    gbvnet explain /data/deap.store runs/trial                    # writes runs/trial/explain
    gbvnet explain /data/deap.store runs/bio --windows 128        # faster and less exact
    """,
)
def _explain(parser) -> Run:
    from ..config import ExplainConfig

    parser.add_argument("store", type=Path, help="the store that the run was made from")
    parser.add_argument("run", type=Path, help="a finished run's folder")
    add_settings(parser, ExplainConfig)
    parser.add_argument(
        "--plugin", default=None, help="of the run of a plug-in: its file or module and class again, file.py:Class"
    )

    def run(args) -> int:
        from ..experiments.explain import explain_run
        from ..store.reader import open_store

        config = chosen_settings(args, ExplainConfig)
        with bar("explaining", unit="measurements") as progress:
            explanation = explain_run(open_store(args.store), args.run, config, progress, args.plugin)
        say(str(explanation))
        return 0

    return run
