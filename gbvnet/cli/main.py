"""The command line: parse, call the file of the same name, print. Each command's parser is built only when it is the
one that was asked for, and nothing heavy is imported before it runs, so that --help is instant."""

import json
import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from .. import __version__
from ..errors import BadConfig, GbvnetError, told_of_the_machine
from ..io.safe_load import keep_names, split_names

Run = Callable[[Any], int]


class Command(NamedTuple):
    help: str
    build: Callable[[Any], Run]  # adds arguments to a parser, returns what runs with the parsed ones
    example: str


COMMANDS: dict[str, Command] = {}


def command(name: str, help: str, example: str):
    def add(build):
        COMMANDS[name] = Command(help, build, textwrap.dedent(example).strip())
        return build

    return add


# ---------------------------------------------------------------- the commands


@command(
    "train",
    "one model on everything, for use: a folder that predict reads",
    """
    gbvnet train deap.store model                                 # valence and arousal, two outputs of one network
    gbvnet train deap.store model --runs runs/trial,runs/subject  # their honest scores go on the model's card
    gbvnet train deap.store model --subjects s01,s02 --exclude s01_trial05
    gbvnet train deap.store model --train.devices 2               # also under torchrun and srun
    """,
)
def _train(parser) -> Run:
    from ..config import FinalConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("folder", type=Path, metavar="MODEL", help="the model's folder, to make")
    parser.add_argument(
        "--runs", default="", metavar="RUNS", help="cross-validations of the same settings, for the model's card"
    )
    skip = {"system", "scope", "folds", "fixed", "stratify", "joint", "shuffle_labels", "recipe", "rival"}
    _add_settings(parser, FinalConfig, skip=skip)

    def run(args) -> int:
        from ..experiments.train import ending, train_model
        from ..network.devices import is_first
        from ..store.store import open_store

        config, store = _settings(args, FinalConfig), open_store(args.store)
        with bar("training", unit="epochs") as progress:
            train_model(store, args.folder, config, [Path(r) for r in _names(args.runs)], progress)
        if is_first():  # of several processes that train one model
            say(str(args.folder))
            for line in ending(args.folder):
                say(line)
        return 0

    return run


@command(
    "predict",
    "valence and arousal of a recording, second by second, by a trained model",
    """
    gbvnet predict model film.mp4 eeg.bdf out                    # out/emotions.csv, timeline.png, timeline.html
    gbvnet predict model eeg.bdf out2 --rename GSR1=EDA          # the model's GSR1 is called EDA in the file
    gbvnet predict model /data/DEAP all --corpus deap --subjects s01,s02
    """,
)
def _predict(parser) -> Run:
    from ..config import Times
    from ..datasets import READERS

    parser.add_argument("model", type=Path, help="a model's folder")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE ... OUT",
        help="a video, a signal file or both; or, with --corpus, its folder; then the folder to write",
    )  # fmt: skip
    parser.add_argument("--corpus", choices=list(READERS), help="recordings of a corpus instead of files")
    parser.add_argument("--recordings", default="", metavar="NAMES", help="of a corpus: only these")
    parser.add_argument("--subjects", default="", metavar="NAMES", help="of a corpus: only these people")
    _add_rename(parser, "in the file")
    parser.add_argument("--step_s", type=float, default=None, help="from one window to the next, seconds")
    parser.add_argument(
        "--smooth_s", type=float, default=None, help="also draw and write means over so many seconds around each window"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a prediction that is in OUT")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")
    parser.add_class_arguments(Times, "times", as_group=False)
    _add_jobs(parser, default=1)

    def run(args) -> int:
        from ..inference.predict import predict_many

        if len(args.paths) < 2:
            raise BadConfig("predict: give a recording and then the folder to write")
        *files, out = args.paths
        with bar("recordings", unit="windows") as progress:
            told = predict_many(
                args.model, files, out, corpus=args.corpus, recordings=_names(args.recordings),
                subjects=_names(args.subjects), times=args.times, rename=_pairs(args.rename), step_s=args.step_s,
                smooth_s=args.smooth_s, overwrite=args.overwrite, device=args.device, jobs=args.jobs, progress=progress,
            )  # fmt: skip
        for line in told.lines:
            say(line)
        return 1 if told.bad else 0

    return run


@command(
    "live",
    "the same while it happens: a camera and an LSL stream, or files played; curves in the terminal",
    """
    gbvnet live model --video 0 --lsl BioSemi --out today.csv     # until Ctrl-C
    gbvnet live model --video film.mp4 --signals eeg.bdf          # files, in real time; --fast: as fast as possible
    gbvnet live model --lsl BioSemi --rename GSR1=EDA --running_s 30 --seconds 600

    Nothing that is still to come is known: filters are causal, and the first seconds are the rest that is taken off.
    docs/streaming.md tells how far that is from predict.
    """,
)
def _live(parser) -> Run:
    from ..config import LiveSources

    parser.add_argument("model", type=Path, help="a model's folder")
    parser.add_class_arguments(LiveSources, as_group=False, skip={"fast"})
    parser.add_argument("--fast", action="store_true", help="play files as fast as possible instead of in real time")
    _add_rename(parser, "by the device")
    parser.add_argument("--seconds", type=float, default=None, help="stop after so many")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.csv", help="write the rows here, one by one")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.csv and FILE.json if they are there")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")

    def run(args) -> int:
        from ..inference.streaming.live import run_live

        run_live(
            args.model, _settings(args, LiveSources), rename=_pairs(args.rename), seconds=args.seconds, out=args.out,
            overwrite=args.overwrite, device=args.device, say=say,
        )  # fmt: skip
        return 0

    return run


def _names(text: str) -> tuple[str, ...]:
    return tuple(split_names(text))


def _add_rename(parser, by: str) -> None:
    parser.add_argument(
        "--rename", action="append", default=[], metavar="A=B,C=D",
        help=f"the model's channel A is called B {by}, C is called D; may be given several times",
    )  # fmt: skip


def _pairs(given: Sequence[str]) -> dict[str, str]:
    """What `--rename A=B,C=D`, given once or several times, maps."""
    pairs: dict[str, str] = {}
    for name in (name for text in given for name in _names(text)):
        one, equals, other = (part.strip() for part in name.partition("="))
        if not (one and equals and other):
            raise BadConfig(f"--rename {name!r}: expected MODELNAME=FILENAME, several with commas between")
        if pairs.get(one, other) != other:
            raise BadConfig(f"--rename gives {one} two names: {pairs[one]} and {other}")
        pairs[one] = other
    return pairs


@command(
    "app",
    "predict in a web page: upload a recording, see curves beside the video",
    """
    gbvnet app model                                 # http://127.0.0.1:7860, for this computer only
    gbvnet app model --host 0.0.0.0 --max-mb 2048    # for everybody who reaches this computer
    """,
)
def _app(parser) -> Run:
    parser.add_argument("model", type=Path, help="a model's folder")
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve at; without it, this computer only")
    parser.add_argument("--port", type=int, default=None, help="the first free one from 7860 on if not given")
    parser.add_argument("--max_mb", type=int, default=512, help="the largest upload, megabytes")
    parser.add_argument("--max_total_mb", type=int, default=None, help="disk space for all visitors; 8192 if not given")
    parser.add_argument(
        "--allow_origin", default=None,
        help="address of a reverse proxy in front of the server, such as https://emotion.example.org; several with "
        "commas between",
    )  # fmt: skip
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")

    def run(args) -> int:
        from ..inference.app.server import serve

        origins = tuple(name.strip() for name in (args.allow_origin or "").split(",") if name.strip())
        limits = args.max_mb, args.device, args.max_total_mb
        return serve(say, args.model, args.host, args.port, *limits, origins)

    return run


@command(
    "demo",
    "the whole journey on a made-up corpus, some minutes on 2 cores",
    """
    gbvnet demo                      # into ./gbvnet-demo; ends with the path of the report
    """,
)
def _demo(parser) -> Run:
    parser.add_argument("dir", type=Path, nargs="?", default=Path("gbvnet-demo"), help="where to put everything")
    _add_jobs(parser)

    def run(args) -> int:
        from .demo import run_demo

        return run_demo(args.dir, args.jobs, say, bar)

    return run


@command(
    "synth",
    "write a made-up corpus in the exact on-disk format",
    """
    gbvnet synth deap /tmp/deap                                # 4 people x 12 trials x 6 s
    gbvnet synth deap /tmp/null --subjects 8 --effect 0        # nothing to learn but leakage
    gbvnet synth deap /tmp/raw --raw                           # and DEAP's original recordings of the same trials
    gbvnet synth mahnob /tmp/mahnob --subjects 3 --trials 4    # films of 6 to 8 s, and 30 s before and after each
    """,
)
def _synth(parser) -> Run:
    from ..config import SynthConfig

    parser.add_argument("corpus", choices=["deap", "mahnob"], help="whose format")
    parser.add_argument("dir", type=Path, help="an empty or new folder")
    _add_settings(parser, SynthConfig, skip={"raw"})
    parser.add_argument("--raw", action="store_true", help="also write DEAP's original recordings, data_original")
    _add_jobs(parser)

    def run(args) -> int:
        if args.corpus == "deap":
            from ..datasets.synthetic.deap import write_deap as write
        else:
            from ..datasets.synthetic.mahnob import write_mahnob as write
        config = _settings(args, SynthConfig)
        with bar("writing made-up recordings") as progress:
            write(args.dir, config, args.jobs, progress)
        name, more = ("DEAP", "") if args.corpus == "deap" else ("MAHNOB-HCI", " and up to 2 s more")
        size = f"{config.subjects} people x {config.trials} trials x {config.seconds} s{more}"
        say(f"{args.dir}: made-up {name}, {size}")
        return 0

    return run


@command(
    "check",
    "a verdict for every recording of a corpus; exit 1 if any is bad",
    """
    gbvnet check deap /data/DEAP
    gbvnet check deap /data/DEAP --raw               # the original recordings instead of the preprocessed release
    gbvnet check mahnob /data/MAHNOB                 # with what is missing of each person, and how the clocks agree
    """,
)
def _check(parser) -> Run:
    _add_corpus(parser)
    _add_jobs(parser)

    def run(args) -> int:
        from ..datasets import open_corpus
        from ..datasets.check import check_corpus, missing, scale_notes, told_once
        from ..datasets.duplicates import notes

        corpus, units = open_corpus(args.corpus, args.root, args.raw), []
        if corpus.made_up:
            say(f"{args.root}: made-up data")
        with bar("checking") as progress:
            for unit in check_corpus(corpus, args.jobs, progress=progress):
                units.append(unit)
                say(_verdict(unit, args.verbose))
        found = [r for unit in units for r in unit.recordings]
        sound = [r for r in found if not r.problem]
        once = told_once(((r.name, finding) for r in found for finding in r.findings), len(found))
        for note in (*once, *corpus.notes(), *notes(sound), *scale_notes(units), *_without_both(units)):
            say(f"note {note}")
        for line in _columns(missing(units)):
            say(line)
        say(_check_summary(units))
        return 1 if any(u.bad for u in units) else 0

    return run


@command(
    "prepare",
    "cut a corpus into a store of windows; an interrupted run goes on where it stopped",
    """
    gbvnet prepare deap /data/DEAP /data/deap.store --jobs 8
    gbvnet prepare deap /data/DEAP /data/deap112.store --face_side 112
    gbvnet prepare deap /data/DEAP /data/raw.store --raw         # signals from data_original/*.bdf
    """,
)
def _prepare(parser) -> Run:
    from ..config import PrepareConfig

    _add_corpus(parser)
    parser.add_argument("store", type=Path, help="the store to make or go on with")
    _add_settings(parser, PrepareConfig)
    _add_jobs(parser, cluster=True)

    def run(args) -> int:
        from ..datasets import open_corpus
        from ..datasets.check import told_once
        from ..store.prepare import prepare_store
        from ..store.store import open_store

        config = _settings(args, PrepareConfig)
        corpus = open_corpus(args.corpus, args.root, args.raw)
        with bar("preparing", unit="s of recording") as progress:
            summary = prepare_store(corpus, args.store, config, args.jobs, progress)
        of_table = corpus.notes() if args.corpus == "table" else ()  # which channels are not used
        for line in (
            *told_once(summary.notes, summary.made + summary.found),
            *summary.names,
            *of_table,
            *summary.scales,
        ):
            say(f"note {line}")
        if summary.made or summary.found:
            say(f"{open_store(args.store)!r}")
        else:
            say(f"{args.store}: no recording could be used, so this is no finished store; correct them and run again")
        say(f"{summary.made} recordings made, {summary.found} found done, {len(summary.bad)} bad")
        return 1 if summary.bad else 0

    return run


@command(
    "crossval",
    "cross-validate a system on a store; a killed run goes on where it stopped",
    """
    gbvnet crossval /data/deap.store runs/trial                              # honest: no trial on both sides
    gbvnet crossval /data/deap.store runs/window --protocol window           # the paper's, which leaks
    gbvnet crossval /data/deap.store runs/bio --modality bio --target valence --model.variant micro
    """,
)
def _crossval(parser) -> Run:
    from ..config import CrossvalConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("run", type=Path, help="the run's folder, to make or go on with")
    _add_settings(parser, CrossvalConfig)
    _add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.crossval import cross_validate
        from ..report.report import summary_text
        from ..store.feature_cache import Remembering

        config, store = _settings(args, CrossvalConfig), Remembering(args.store)
        with bar("trainings", unit="epochs") as progress:
            cross_validate(store, args.run, config, args.jobs, progress)

        say(summary_text([args.run]))
        return 0

    return run


@command(
    "compare",
    "every system on the same folds: scores, ranks over people, costs",
    """
    gbvnet compare deap.store compared                                     # all systems, protocol trial
    gbvnet compare deap.store compared --systems gbvnet,deepvanet,expression,majority
    gbvnet compare deap.store compared --protocol subject --target valence --jobs 2
    """,
)
def _compare(parser) -> Run:
    from ..config import CompareConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("comparison", type=Path, help="the comparison's folder, to make or go on with")
    _add_settings(parser, CompareConfig, skip={"system", "modality", "joint", "shuffle_labels", "recipe"})
    _add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.compare import compare
        from ..report.summary import terminal_text
        from ..store.feature_cache import Remembering

        config, store = _settings(args, CompareConfig), Remembering(args.store)
        with bar("comparison", unit="epochs") as progress:
            report = compare(store, args.comparison, config, args.jobs, progress)
        say(terminal_text(report.results, 110))
        for problem in report.problems:
            say(f"BAD  {problem}")
        say("")
        say(str(report.path))
        return 1 if report.problems else 0

    return run


@command(
    "audit",
    "how much of a score is leakage: every protocol, shuffled labels, identity; or somebody's split file",
    """
    gbvnet audit /data/deap.store audits/deap                                 # then open audits/deap/report/report.html
    gbvnet audit /data/deap.store audits/quick --model.variant micro --folds 3 --protocols window,trial
    gbvnet audit --splits theirs/splits.json                                  # or a table of predictions: parquet, csv
    """,
)
def _audit(parser) -> Run:
    from ..config import AuditConfig

    parser.add_argument("paths", type=Path, nargs="*", metavar="STORE AUDIT", help="a store; the audit's folder")
    parser.add_argument("--splits", type=Path, default=None, help="check this split file or predictions table instead")
    _add_settings(parser, AuditConfig, skip={"protocol", "scope", "fixed", "joint", "shuffle_labels", "recipe"})
    _add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        if args.splits:
            from ..evaluation.split_check import check_splits

            checked = check_splits(args.splits)
            say(str(checked))
            return 1 if checked.leaks else 0
        if len(args.paths) != 2:
            raise BadConfig("audit: give a store and the folder of the audit; or --splits FILE")
        from ..experiments.audit import audit
        from ..report.audit_section import terminal_text
        from ..store.store import open_store

        config, store = _settings(args, AuditConfig), open_store(args.paths[0])
        with bar("audit", unit="epochs") as progress:
            done = audit(store, args.paths[1], config, args.jobs, progress)
        say(terminal_text(done))
        say("")
        say(str(args.paths[1] / "report" / "report.html"))
        return 0

    return run


@command(
    "transfer",
    "train a system on one store and test it on another, over the channels and the face that both have",
    """
    gbvnet transfer deap.store mahnob.store runs/transfer --train.normalise subject
    gbvnet transfer mahnob.store deap.store runs/back --train.normalise subject --modality eeg

    normalise subject is recommended here: two corpora have other amplifiers and units, and it scales each person's
    signals by their own mean and SD, without labels.
    """,
)
def _transfer(parser) -> Run:
    from ..config import CrossvalConfig

    parser.add_argument("first", type=Path, metavar="STORE_A", help="the store to learn from")
    parser.add_argument("second", type=Path, metavar="STORE_B", help="the store to be tested on")
    parser.add_argument("run", type=Path, help="the run's folder, to make or go on with")
    # The two stores say who is tested.
    _add_settings(
        parser, CrossvalConfig, skip={"protocol", "scope", "folds", "stratify", "fixed", "subjects", "recipe"}
    )
    _add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.transfer import transfer
        from ..report.report import summary_text
        from ..store.store import open_store

        config = _settings(args, CrossvalConfig)
        with bar("trainings", unit="epochs") as progress:
            transfer(open_store(args.first), open_store(args.second), args.run, config, args.jobs, progress)
        say(summary_text([args.run]))
        return 0

    return run


@command(
    "report",
    "one self-contained report.html of one or more runs, with its tables and figures",
    """
    gbvnet report runs/* report
    """,
)
def _report(parser) -> Run:
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="RUN ... REPORT", help="run or audit folders, then the folder to write"
    )

    def run(args) -> int:
        from ..report.report import write_report

        if len(args.paths) < 2:
            raise BadConfig("report: give at least one run, and then the folder to write")
        *runs, destination = args.paths
        report = write_report(runs, destination)
        for problem in report.problems:
            say(f"BAD  {problem}")
        say(str(report.path))
        return 1 if report.problems else 0

    return run


@command(
    "explain",
    "what a run's models go by: channels, parts of the face, noise; shown by `gbvnet report`",
    """
    gbvnet explain /data/deap.store runs/trial                    # writes runs/trial/explain
    gbvnet explain /data/deap.store runs/bio --windows 128        # quicker and coarser
    """,
)
def _explain(parser) -> Run:
    from ..config import ExplainConfig

    parser.add_argument("store", type=Path, help="the store that the run was made from")
    parser.add_argument("run", type=Path, help="a finished run's folder")
    _add_settings(parser, ExplainConfig)

    def run(args) -> int:
        from ..experiments.explain import explain_run
        from ..store.store import open_store

        config = _settings(args, ExplainConfig)
        with bar("explaining", unit="questions") as progress:
            explanation = explain_run(open_store(args.store), args.run, config, progress)
        say(str(explanation))
        return 0

    return run


@command(
    "reproduce",
    "the paper's tables and figures, each beside the honest protocols",
    """
    gbvnet reproduce deap.store repro --plan                    # what that takes on this device; trains next to nothing
    gbvnet reproduce deap.store repro --recipe tiny             # all of it in small, to see what comes out
    gbvnet reproduce deap.store mahnob.store repro              # NAME-paper and NAME-honest of each corpus
    gbvnet reproduce --plan --describe deap:22x40x60            # before there is a store: people x trials x seconds
    gbvnet reproduce deap.store repro --slurm jobs              # scripts for a SLURM queue; then: bash jobs/submit.sh
    """,
)
def _reproduce(parser) -> Run:
    parser.add_argument(
        "paths", type=Path, nargs="*", metavar="STORE ... DIR", help="stores, then the folder for it all"
    )
    parser.add_argument(
        "--recipe", action="append", default=[], metavar="NAME", help="a recipe, a YAML file, or several with commas"
    )
    parser.add_argument(
        "--people", choices=["found", "paper"], help="all people of the store, or of them only the paper's, by name"
    )
    parser.add_argument("--plan", action="store_true", help="stop after the plan")
    parser.add_argument(
        "--describe",
        action="append",
        default=[],
        metavar="SIZE",
        help="plan for a corpus that is not here, as deap:22x40x60",
    )
    parser.add_argument("--only", default="", metavar="RUN", help="these runs alone, as RECIPE/NAME, and no report")
    parser.add_argument("--report", action="store_true", help="only the report, of the runs that are finished")
    parser.add_argument(
        "--slurm",
        type=Path,
        default=None,
        metavar="FOLDER",
        help="write scripts that do all of it as jobs of a SLURM queue",
    )
    _add_jobs(parser, default=1, cluster=True)

    def run(args) -> int:
        from ..experiments.reproduction.reproduce import (
            describe,
            plan_studies,
            recipes_for,
            report,
            reproduce,
            run_some,
        )
        from ..store.store import open_store

        if args.describe:
            if args.paths or not args.plan:
                raise BadConfig("reproduce: --describe goes with --plan, and without stores")
            recipes = recipes_for(args.recipe, [text.split(":")[0] for text in args.describe], args.people)
            return describe(args.describe, recipes, say, bar, args.jobs)
        if len(args.paths) < 2:
            raise BadConfig("reproduce: give at least one store, and then the folder for runs and report")
        *paths, folder = args.paths
        if (folder / "store.json").exists():
            raise BadConfig(f"reproduce: {folder} is a store; give the folder for runs and report after it")
        stores = [open_store(path) for path in paths]
        recipes = recipes_for(args.recipe, [store.settings["dataset"] for store in stores], args.people)
        if args.plan or not (args.only or args.report or args.slurm):
            return reproduce(stores, folder, recipes, say, bar, args.jobs, args.plan)
        studies = plan_studies(recipes, stores)
        if args.only:
            return run_some(studies, folder, _names(args.only), say, bar, args.jobs)
        return report(studies, folder, say) if args.report else _write_slurm(args, studies)

    return run


def _write_slurm(args, studies) -> int:
    from ..experiments.reproduction.reproduce import name_of
    from ..experiments.reproduction.slurm import write_scripts

    if args.ray:
        raise BadConfig("reproduce: either --slurm, where each run is a job of its own, or --ray")
    runs = [name_of(run) for study in studies for run in study.runs]
    words = [str(path.resolve()) for path in args.paths]
    recipes = [name for text in args.recipe for name in text.split(",") if name]
    words += [word for name in recipes for word in ("--recipe", _recipe_for_others(name))]
    words += ["--people", args.people] if args.people else []
    first = write_scripts(args.slurm, runs, words, args.jobs)
    say(f"{len(runs)} runs as jobs of an array; look through {first.parent / 'array.sh'}, and then: bash {first}")
    return 0


def _recipe_for_others(name: str) -> str:
    """Where a recipe of one's own lies, told from any folder."""
    return str(Path(name).resolve()) if name.endswith((".yaml", ".yml")) else name


@command(
    "table",
    "a commented recordings table from a folder of your own: fill it in, then `gbvnet check table`",
    """
    gbvnet table init /data/mine                     # writes recordings.csv and table.yaml there
    gbvnet check table /data/mine                    # once they are filled in
    gbvnet prepare table /data/mine mine.store
    """,
)
def _table(parser) -> Run:
    parser.add_argument("what", choices=["init"], help="init: write the table")
    parser.add_argument("folder", type=Path, help="the folder with the videos and signal files")

    def run(args) -> int:
        from ..datasets.table_template import write_template

        table, lines = write_template(args.folder)
        settings = f"{table.parent / 'table.yaml'}: what holds for all of them"
        say(f"{table}: {lines} line{'s' * (lines != 1)} to fill in; {settings}")
        return 0

    return run


@command(
    "model",
    "what a trained model expects and how it was made; as one ONNX file; sent to the Hugging Face hub",
    """
    gbvnet model show MODEL                          # a folder, or user/name of the hub
    gbvnet model export MODEL model.onnx             # compared with torch, and timed; needs the extra `onnx`
    gbvnet model push MODEL user/name                # private, unless --public is given
    """,
)
def _model(parser) -> Run:
    parser.add_argument("what", choices=["show", "export", "push"], help="print it; write it as ONNX; send it")
    parser.add_argument("model", type=Path, help="a folder that `gbvnet train` wrote, or user/name of the hub")
    parser.add_argument("to", nargs="?", metavar="TO", help="export: the file to write; push: user/name on the hub")
    parser.add_argument("--public", action="store_true", help="push: let everybody see it")

    def run(args) -> int:
        if args.what == "show":
            from ..network.checkpoint.describe import passport

            say(passport(args.model))
            return 0
        if not args.to:
            where = "which file to write, as model.onnx" if args.what == "export" else "where to, as user/name"
            raise BadConfig(f"model {args.what}: say {where}")
        if args.what == "export":
            from ..network.checkpoint.onnx import export_onnx

            say(str(export_onnx(args.model, args.to)))
            return 0
        from ..network.checkpoint.hub_model import push_model

        say(push_model(args.model, args.to, private=not args.public))
        return 0

    return run


@command(
    "weights",
    "fetch the face landmark model once, hash-checked",
    """
    gbvnet weights                                  # from the internet
    gbvnet weights --from face_landmarker.task      # from a file, offline
    """,
)
def _weights(parser) -> Run:
    parser.add_argument("--from", dest="file", type=Path, default=None, help="take this file instead")

    def run(args) -> int:
        from ..io.landmark_model import fetch

        say(str(fetch(args.file)))
        return 0

    return run


# ---------------------------------------------------------------- what they share


def _add_corpus(parser) -> None:
    from ..datasets import READERS

    parser.add_argument("corpus", choices=list(READERS), help="which corpus")
    parser.add_argument("root", type=Path, help="the folder it was unpacked into")
    parser.add_argument("--raw", action="store_true", help="DEAP's signals from its original recordings, data_original")


def _add_jobs(parser, default: int = 0, cluster: bool = False) -> None:
    """cluster : the command's tasks may also run on the nodes of a Ray cluster."""
    parser.add_argument(
        "--jobs", type=int, default=default, help="processes at once; 0 is one for each core (default: %(default)s)"
    )
    if cluster:
        parser.add_argument(
            "--ray",
            default=None,
            metavar="auto|HOST:PORT",
            help="on the nodes of this Ray cluster instead (docs/scaling.md)",
        )
        parser.add_argument("--cpus_per_task", type=int, default=1, help="on a cluster: cores and threads of a task")
        parser.add_argument(
            "--gpus_per_task", type=float, default=None,
            help="on a cluster: GPUs of a training, 0.25 puts four on one; if not given, one where it has GPUs",
        )  # fmt: skip


def _jobs(args):
    """Local processes, or a cluster, as the options say."""
    from ..parallel.tasks import Cluster, cores

    if getattr(args, "ray", None):
        return Cluster(args.ray, args.cpus_per_task, args.gpus_per_task)
    return args.jobs or cores()


def _add_settings(parser, settings: type, skip: set[str] | None = None) -> None:
    parser.add_class_arguments(settings, as_group=False, skip=skip)
    parser.add_argument("--config", action="config", help="a YAML file with any of these settings")


def _settings(args, settings: type):
    from dataclasses import fields

    return settings(**{f.name: getattr(args, f.name) for f in fields(settings) if hasattr(args, f.name)})


def _verdict(unit, verbose: bool) -> str:
    """One line for what is good, and one more for each recording that is not."""
    if unit.problem:
        return f"BAD  {unit.name}  {unit.problem}"
    videos = sum(r.video is not None for r in unit.recordings)
    lines = [f"ok   {unit.name}  {unit.good} of {len(unit.recordings)} recordings, {videos} with a video"]
    lines += [f"note {unit.name}  {finding}" for finding in unit.findings]
    for r in unit.recordings:
        if r.problem:
            lines.append(f"BAD  {r.name}  {r.problem}")
        if verbose and not r.problem:
            lines.append(f"ok   {r.name}  stimulus {r.stimulus}, {'video' if r.video else 'no video'}")
    return "\n".join(lines if unit.good or not unit.recordings else lines[1:])


def _without_both(units) -> list[str]:
    """Who has no recording with both a video and signals, and so no place in a comparison of them; and who is left."""
    sound = {u.name: [r for r in u.recordings if not r.problem] for u in units}
    lacking: dict[str, list[str]] = {
        "a good recording": [],
        "signals": [],
        "a video": [],
        "a video and signals at once": [],
    }
    for name, recordings in sound.items():
        if not recordings:
            lacking["a good recording"].append(name)
        elif not any(r.signals for r in recordings):
            lacking["signals"].append(name)
        elif not any(r.video for r in recordings):
            lacking["a video"].append(name)
        elif not any(r.video and r.signals for r in recordings):
            lacking["a video and signals at once"].append(name)
    notes = [f"without {what}: {', '.join(names)}" for what, names in lacking.items() if names]
    n_both = len(units) - sum(map(len, lacking.values()))
    return [*notes, f"{n_both} of {len(units)} people have both a video and signals"] if notes else []


def _columns(rows) -> list[str]:
    """Rows of text as lines, each column as wide as it needs."""
    wide = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(w) for cell, w in zip(row, wide, strict=True)).rstrip() for row in rows]


def _check_summary(units) -> str:
    recordings = [r for u in units for r in u.recordings if not r.problem]
    filmed = sum(r.video is not None for r in recordings)
    bad = sum(u.bad for u in units)
    return f"{len(recordings)} good recordings of {len(units)} people, {filmed} with a video; {bad} bad"


def say(line: str) -> None:
    print(line, flush=True)


@contextmanager
def bar(what: str, unit: str = ""):
    """A progress bar on stderr with time left, and with rate and time taken where there is room; silent when stderr is
    no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    wide = console.width >= 120
    columns = [TextColumn("{task.description}"), BarColumn(40 if wide else 10), MofNCompleteColumn()]
    columns += [TextColumn("{task.fields[rate]}"), TimeElapsedColumn()] if wide else []
    with Progress(*columns, TimeRemainingColumn(), console=console, disable=not console.is_terminal) as shown:
        task = shown.add_task(what, total=None, rate="")

        def progress(done: int, total: int, doing: str = "") -> None:
            speed = shown.tasks[task].finished_speed or shown.tasks[task].speed
            rate = f"{speed:.1f} {unit or 'a second'}" + ("/s" if unit else "") if speed else ""
            shown.update(task, completed=done, total=total, rate=rate, description=f"{what} {doing}")

        yield progress


def _name_lists(parser) -> set[str]:
    """The options of a command that take a list of names, by their types: `tuple[str, ...]`, or None."""
    from typing import get_args, get_origin

    def is_list(kind) -> bool:
        return get_origin(kind) is tuple or any(map(is_list, get_args(kind)))

    return {action.dest for action in parser._actions if is_list(getattr(action, "_typehint", None))}


def _keep_names(parser) -> None:
    """Let the parser read lists of names as they are written, in YAML files too: a subject 01 is not the number 1."""
    import yaml
    from jsonargparse import get_loader, set_loader

    plain, names = get_loader("yaml"), _name_lists(parser)
    mode = "yaml_with_names"
    set_loader(mode, lambda text: keep_names(plain(text), text, names), (yaml.YAMLError,))
    parser.parser_mode = mode


def _parser(name: str):
    from jsonargparse import ArgumentParser, set_parsing_settings

    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    chosen = COMMANDS[name]
    parser = ArgumentParser(
        prog=f"gbvnet {name}",
        formatter_class=_help_format(),
        exit_on_error=False,
    )
    run = chosen.build(parser)
    parser.add_argument("--verbose", action="store_true", help="more lines, and a traceback if something fails")
    _keep_names(parser)
    example = "\n\nexample:\n  " + chosen.example.replace("\n", "\n  ")
    parser.description = chosen.help[0].upper() + chosen.help[1:] + "." + example + _terms(name, parser)
    parser.usage = _usage(name, parser)
    return parser, run


# Words of this field and of this package, and the options by which they are met.
_TERMS = {
    "window": (
        ("--modality", "--systems"),
        "a short piece of a recording, 1 second unless prepared otherwise; predicted by itself",
    ),
    "facebio": (
        ("--modality", "--systems"),
        "face and all signals together. face: the face alone; bio: all signals alone; eeg: EEG alone; peri: the "
        "peripheral signals, which is all but EEG; faceeeg, faceperi: the face with these",
    ),
    "gate": (
        ("--model.fusion",),
        "the factors, 0 to 1, by which GBV-Net multiplies the features of face and signals before it joins them; one "
        "modality alone has none",
    ),
    "protocol": (
        ("--protocol",),
        "what is never both in training and in test: trial, stimulus, subject, or both of the last; window keeps "
        "nothing apart, so its scores are LEAKY: too high",
    ),
}


def _terms(name: str, parser) -> str:
    """Explanations of the words that a command's options use."""
    known = parser._option_string_actions
    lines = [
        textwrap.fill(text, 76, initial_indent=f"  {term:<10}", subsequent_indent=" " * 12)
        for term, (options, text) in _TERMS.items()
        if any(option in known for option in options) or (term == "gate" and name in ("predict", "live", "app"))
    ]
    return "\n\nwords:\n" + "\n".join(lines) if lines else ""


def _usage(name: str, parser) -> str:
    """One line, whatever the number of options."""
    places = []
    for action in parser._actions:
        if action.option_strings:
            continue
        if action.metavar is None and not action.choices:
            action.metavar = action.dest.upper()
        place = action.metavar or action.dest.upper()
        places.append(f"[{place}]" if action.nargs in ("?", "*") else place)
    return " ".join(["gbvnet", name, *places, "[options]"])


def _help_format():
    from argparse import SUPPRESS, RawDescriptionHelpFormatter

    from jsonargparse import DefaultHelpFormatter

    class Format(DefaultHelpFormatter, RawDescriptionHelpFormatter):
        """Keep the example's lines as they are; of an option its help and its default, and no types of Python."""

        def _get_help_string(self, action) -> str:
            text = _OF_THE_PARSER.get(action.help, action.help or "")
            if action.dest == "print_config":
                return "print all settings as a YAML file for --config, and exit"
            said = action.default in (None, SUPPRESS, "", ()) or (action.nargs == 0 and not action.default)
            shown = action.option_strings and not said and "%(default)" not in text and action.dest != "help"
            return f"{text} (default: %(default)s)" if shown else text

    return Format


# The parser's own words for its own options, as ours.
_OF_THE_PARSER = {
    "Path to a configuration file.": "a YAML file with the settings of this group",
    "Show this help message and exit.": "show this help and exit",
}


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {c.help}" for name, c in COMMANDS.items()]
    return "\n".join(
        [
            "usage: gbvnet COMMAND ...",
            "",
            "Emotion recognition from a face video together with physiological signals, compared without leaks.",
            "",
            *lines,
            "",
            "gbvnet COMMAND --help tells more, with an example.",
        ]
    )


def main(argv: list[str] | None = None) -> int:
    """0: done. 1: done, but some input was bad. 2: could not start. 130: stopped by Ctrl-C. 141: whatever reads the
    output (`| head`) has closed it."""
    try:
        try:
            return _main(sys.argv[1:] if argv is None else argv)
        finally:
            sys.stdout.flush()  # here, where an output that was closed can be handled
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return 141


def _main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        say(_overview())
        return 0 if argv else 2
    if argv[0] == "--version":
        say(f"gbvnet {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        near = get_close_matches(argv[0], COMMANDS, n=1)
        return _fail("", f"no command {argv[0]}" + (f"; did you mean {near[0]}?" if near else "; see gbvnet --help"))
    return _run(argv[0], _tidy(argv[1:]))


def _tidy(argv: list[str]) -> list[str]:
    """--face-side is the same option as --face_side."""
    tidied: list[str] = []
    for argument in argv:
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            argument = "--" + name[2:].replace("-", "_") + equals + value
        tidied.append(argument)
    return tidied


def _quote_names(argv: list[str], parser) -> list[str]:
    """`--subjects 01,no` as `--subjects ["01", "no"]`: a list of names for YAML, which takes 01 for a number."""
    lists, options = _name_lists(parser), set(parser._option_string_actions)

    def takes_names(option: str) -> bool:
        """The parser takes the beginning of an option, too: --subject."""
        near = [option] if option in options else [one for one in options if one.startswith(option)]
        return option.startswith("--") and len(near) == 1 and near[0][2:] in lists

    quoted: list[str] = []
    for argument in argv:
        name, equals, value = argument.partition("=")
        if equals and takes_names(name):
            argument = f"{name}={json.dumps(split_names(value))}"
        elif quoted and takes_names(quoted[-1]) and not argument.startswith("--"):
            argument = json.dumps(split_names(argument))
        quoted.append(argument)
    return quoted


def _require_groups(parser, args) -> None:
    """Raise BadConfig if a file of settings has a single value where a group of settings is (`train: 2`)."""
    for name, group in parser.groups.items():
        value = args.get(name)
        if getattr(group, "group_class", None) is not None and not hasattr(value, "__dict__"):
            raise BadConfig(f"{name}: expected settings, a name and a value each, as {name}.NAME; found {value!r}")


_TYPES = {
    "int": "a whole number", "float": "a number", "bool": "true or false", "str": "text", "Path": "a path",
    "tuple": "names with commas between",
}  # fmt: skip


def _plainly(message: str) -> str:
    """A message of the parser about one option in plain words: what the option takes, and what was given."""
    said = re.sub(r"Given value type: <class '\w+'>", "", message)
    parts = re.fullmatch(r'Parser key "([\w.]+)": (.*)(?:Got|Given) value: (.*)', said)
    if parts is None:
        return message
    option, wanted, given = parts.groups()
    names = [name for pair in re.findall(r"<class '(?:\w+\.)*(\w+)'>|(tuple)\[", wanted) for name in pair]
    kinds = [_TYPES[name] for name in dict.fromkeys(names) if name in _TYPES]
    kinds += [
        "one of " + choices.replace("'", "") for choices in dict.fromkeys(re.findall(r"Literal\[(.*?)\]", wanted))
    ]
    return f"--{option}: expected {' or '.join(kinds)}, found {given}" if kinds else message


def _run(name: str, argv: list[str]) -> int:
    from argparse import ArgumentError

    verbose = "--verbose" in argv
    try:
        parser, run = _parser(name)
        parsed = parser.parse_args(_quote_names(argv, parser))
        _require_groups(parser, parsed)
        args = parser.instantiate(parsed)
        if hasattr(args, "jobs"):
            args.jobs = _jobs(args)
        _require_paths(name, args)
        _require_kinds(name, args)
        with _logging(verbose):
            return run(args)
    except KeyboardInterrupt:
        _fail(name, "stopped; the same command goes on from here")
        return 130
    except (GbvnetError, ArgumentError) as e:
        if verbose:
            raise
        message = _plainly(" ".join(str(e).split()))  # the parser's own messages have several lines
        hint = " (paths come before options)" if re.match(r"unrecognized arguments: (?!-)", message) else ""
        return _fail(name, message + hint)
    except (OSError, MemoryError, RuntimeError) as e:
        told = told_of_the_machine(e)
        if verbose or told is None:
            raise
        return _fail(name, told)


def _require_paths(name: str, args) -> None:
    """Only a store to read may lie at an address; whatever else is read or written lies in a file system."""
    from ..io.remote import require_path

    for option, value in vars(args).items():
        given = value if isinstance(value, list) else [value]
        if option in ("store", "first", "second") and name != "prepare":
            continue
        for path in given[-1:] if name in ("audit", "reproduce") else given:
            if isinstance(path, Path):
                require_path(path)


# What each command's paths may be: name on the command line, attribute, kinds. `new` is a folder that is made.
_KINDS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "train": (("STORE", "store", ("store",)), ("MODEL", "folder", ("new", "model"))),
    "live": (("MODEL", "model", ("model",)),),
    "app": (("MODEL", "model", ("model",)),),
    "model": (("MODEL", "model", ("model",)),),
    "synth": (("DIR", "dir", ("new", "corpus")),),
    "check": (("ROOT", "root", ("corpus",)),),
    "prepare": (("ROOT", "root", ("corpus",)), ("STORE", "store", ("new", "store"))),
    "crossval": (("STORE", "store", ("store",)), ("RUN", "run", ("new", "run"))),
    "compare": (("STORE", "store", ("store",)), ("COMPARISON", "comparison", ("new", "comparison"))),
    "transfer": (
        ("STORE_A", "first", ("store",)),
        ("STORE_B", "second", ("store",)),
        ("RUN", "run", ("new", "run")),
    ),
    "explain": (("STORE", "store", ("store",)), ("RUN", "run", ("run",))),
    "table": (("FOLDER", "folder", ("new", "corpus")),),
}

# Of those whose paths are one list.
_ORDERS = {
    "predict": "MODEL FILE ... OUT", "report": "RUN ... REPORT", "reproduce": "STORE ... DIR", "audit": "STORE AUDIT",
}  # fmt: skip


def _require_kinds(name: str, args) -> None:
    """Refuse a store in the place of a run, a video in the place of a model, and so on, before anything is read."""
    from ..io.path_kinds import Argument, require_kinds

    words = f"{name} {args.corpus}" if name in ("check", "prepare", "synth") else name
    words += f" {args.what}" if name in ("model", "table") else ""
    given = [Argument(called, getattr(args, attribute), kinds) for called, attribute, kinds in _KINDS.get(name, ())]
    given = [argument for argument in given if isinstance(argument.path, Path)]
    require_kinds(words, given + [Argument(*each) for each in _in_lists(name, args)], _ORDERS.get(name, ""))


def _in_lists(name: str, args):
    """The same for commands whose paths are one list: all but the last are read, and the last is written."""
    if name not in ("predict", "report", "audit", "reproduce") or not args.paths:
        return
    *files, last = args.paths
    if name == "predict":
        yield "MODEL", args.model, ("model",)
    read, kinds, write, made = {
        "predict": ("CORPUS", ("corpus",), "OUT", ("new", "prediction"))
        if args.__dict__.get("corpus")
        else ("FILE", ("video", "signals"), "OUT", ("new", "prediction")),
        "report": ("RUN", ("run", "audit", "comparison"), "REPORT", ("new", "report")),
        "audit": ("STORE", ("store",), "AUDIT", ("new", "audit")),
        "reproduce": ("STORE", ("store",), "DIR", ("new",)),
    }[name]
    yield from ((read, path, kinds) for path in files)
    yield write, last, made


class _Stderr(logging.Handler):
    """Writes to what is stderr now, which a progress bar replaces so that lines stay above it."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


@contextmanager
def _logging(verbose: bool):
    logger, handler = logging.getLogger("gbvnet"), _Stderr()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def _fail(name: str, message: str) -> int:
    print(f"gbvnet{' ' + name if name else ''}: {message}", file=sys.stderr)
    return 2
