"""Commands for models: train, predict, live, app, model; and demo."""

import signal
from contextlib import suppress
from pathlib import Path
from threading import Event

from ..errors import BadConfig
from .command import Run, command
from .fields import add_fields
from .options import (
    add_corpus_options,
    add_jobs,
    add_rename,
    add_settings,
    chosen_corpus_options,
    chosen_settings,
    names_in_text,
    renamed_channels,
)
from .progress import bar, say


def _add_precision(parser) -> None:
    parser.add_argument(
        "--precision", choices=["32", "bf16", "auto"], default="32",
        help="bf16 may be faster where the processor computes it itself (auto: only there); what it changes is "
        "measured and reported (default: 32)",
    )  # fmt: skip


@command(
    "train",
    "train one model on all recordings, for `gbvnet predict`",
    """
    gbvnet train deap.store model                                 # valence and arousal, two outputs of one network
    gbvnet train deap.store model --runs runs/trial,runs/subject  # their scores go on the model's card
    gbvnet train deap.store model --subjects s01,s02 --exclude s01_trial05
    gbvnet train deap.store model --train.devices 2               # also under torchrun and srun
    """,
)
def _train(parser) -> Run:
    from ..config import PRUNE_SETTINGS, FinalConfig

    parser.add_argument("store", type=Path, help="a store made by `gbvnet prepare`")
    parser.add_argument("folder", type=Path, metavar="MODEL", help="the folder of the model, to create")
    parser.add_argument(
        "--runs", default="", metavar="RUNS", help="cross-validations of the same settings, for the model's card"
    )
    skip = {"system", "scope", "folds", "fixed", "stratify", "joint", "shuffle_labels", "recipe", *PRUNE_SETTINGS}
    add_settings(parser, FinalConfig, skip=skip)

    def run(args) -> int:
        from ..experiments.train import closing_lines, train_model
        from ..network.devices import is_first
        from ..store.reader import open_store

        config, store = chosen_settings(args, FinalConfig), open_store(args.store)
        with bar("training", unit="epochs") as progress:
            train_model(store, args.folder, config, [Path(r) for r in names_in_text(args.runs)], progress)
        if is_first():  # of several processes that train one model
            say(str(args.folder))
            for line in closing_lines(args.folder):
                say(line)
        return 0

    return run


@command(
    "predict",
    "predict valence and arousal of a recording, second by second, with a trained model",
    """
    gbvnet predict model video.mp4 eeg.bdf out                    # out/emotions.csv, timeline.png, timeline.html
    gbvnet predict model eeg.bdf out2 --rename GSR1=EDA          # the model's GSR1 is called EDA in the file
    gbvnet predict model film.mp4 eeg.edf wrist.csv@-3.2 out3    # time on eeg.edf's clock = time in wrist.csv - 3.2 s
    gbvnet predict model /data/DEAP all --corpus deap --subjects s01,s02
    """,
)
def _predict(parser) -> Run:
    from ..config import Times
    from ..datasets import corpora

    parser.add_argument("model", type=Path, help="the folder of a model")
    parser.add_argument(
        "paths", type=Path, nargs="+", metavar="FILE ... OUT",
        help="a video, signal files or both; a second signal file has its offset behind an @; film.times.csv beside "
        "film.mp4 holds the times of its frames; or, with --corpus, its folder; then the folder to write",
    )  # fmt: skip
    parser.add_argument(
        "--corpus",
        metavar="{" + ",".join(corpora()) + "}",
        help="recordings of a corpus instead of files; or of a reader of your own, file.py:Reader",
    )
    add_corpus_options(parser)
    parser.add_argument("--recordings", default="", metavar="NAMES", help="with --corpus: only these recordings")
    parser.add_argument("--subjects", default="", metavar="NAMES", help="with --corpus: only these subjects")
    add_rename(parser, "in the file")
    parser.add_argument("--step_s", type=float, default=None, help="seconds from the start of one window to the next")
    parser.add_argument(
        "--smooth_s",
        type=float,
        default=None,
        help="also draw and write the mean over this many seconds around each window",
    )
    parser.add_argument(
        "--landmark_every",
        type=int,
        default=None,
        metavar="N",
        help="detect face landmarks in every N-th frame at least and follow them in between, which is faster; default: "
        "as the model's store was prepared",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a prediction that is in OUT")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")
    _add_precision(parser)
    add_fields(parser, Times, "times")
    add_jobs(parser, default=1)

    def run(args) -> int:
        from ..inference.batch import CorpusSource, FileSource, PredictionSettings, predict_many

        if len(args.paths) < 2:
            raise BadConfig("predict: give a recording and then the folder to write")
        *files, out = args.paths
        rename = renamed_channels(args.rename)
        settings = PredictionSettings(
            args.step_s, args.smooth_s, rename, args.device, args.precision, args.landmark_every
        )
        of_files, of_corpus = _given_for_one(args)
        source: CorpusSource | FileSource = FileSource(files, args.times)
        if args.corpus is not None:
            if of_files:
                raise BadConfig(f"{of_files[0]} is an option of files: the corpus says which part is predicted")
            if len(files) != 1:
                raise BadConfig(f"predict --corpus {args.corpus}: give its folder, and then the folder to write")
            selected = names_in_text(args.recordings), names_in_text(args.subjects)
            source = CorpusSource(args.corpus, files[0], *selected, chosen_corpus_options(args))
        elif of_corpus:
            raise BadConfig(f"{of_corpus[0]} is an option of a corpus: name the corpus with --corpus")
        with bar("recordings", unit="windows") as progress:
            batch = predict_many(
                args.model, source, out, settings, overwrite=args.overwrite, jobs=args.jobs, progress=progress
            )
        for line in batch.lines:
            say(line)
        return 1 if batch.bad else 0

    return run


def _given_for_one(args) -> tuple[list[str], list[str]]:
    """Return the options given to predict that apply to files alone, and those that apply to a corpus alone."""
    from ..config import Times

    usual = Times()
    of_files = [f"--times.{name}" for name, value in vars(args.times).items() if value != getattr(usual, name)]
    given = chosen_corpus_options(args) | {"recordings": args.recordings or None, "subjects": args.subjects or None}
    return of_files, [f"--{name}" for name, value in given.items() if value is not None]


@command(
    "live",
    "real-time prediction from a camera and an LSL stream, or from files replayed in real time",
    """
    gbvnet live model --video 0 --lsl BioSemi --out today.csv     # until Ctrl-C
    gbvnet live model --video video.mp4 --signals eeg.bdf         # files, in real time; --fast: as fast as possible
    gbvnet live model --signals "eeg.edf + wrist.csv@-3.2" --fast # two files on the clock of the first
    gbvnet live model --lsl BioSemi --rename GSR1=EDA --running_s 30 --seconds 600

    Filters are causal, and the first seconds are the baseline period. docs/streaming.md says how much the results
    differ from those of predict.
    """,
)
def _live(parser) -> Run:
    from ..config import LiveSources

    parser.add_argument("model", type=Path, help="the folder of a model")
    add_fields(parser, LiveSources, skip={"fast"})
    parser.add_argument("--fast", action="store_true", help="replay files as fast as possible instead of in real time")
    add_rename(parser, "by the device")
    parser.add_argument("--seconds", type=float, default=None, help="stop after this many seconds")
    parser.add_argument("--out", type=Path, default=None, metavar="FILE.csv", help="write one row for each window")
    parser.add_argument("--overwrite", action="store_true", help="replace FILE.csv and FILE.json if they are there")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")
    _add_precision(parser)

    def run(args) -> int:
        from ..inference.streaming.row_file import RowOutput
        from .live import run_live

        run_live(
            args.model, chosen_settings(args, LiveSources), say, rename=renamed_channels(args.rename),
            seconds=args.seconds, output=args.out and RowOutput(args.out, args.overwrite), device=args.device,
            precision=args.precision,
        )  # fmt: skip
        return 0

    return run


@command(
    "app",
    "web page: upload a recording, see its curves beside the video",
    """
    gbvnet app model                                 # http://127.0.0.1:7860, from this computer only
    gbvnet app model --host 0.0.0.0 --max-mb 2048    # from other computers too
    """,
)
def _app(parser) -> Run:
    parser.add_argument("model", type=Path, help="the folder of a model")
    parser.add_argument("--host", default="127.0.0.1", help="the address to serve at; 127.0.0.1 is this computer only")
    parser.add_argument("--port", type=int, default=None, help="default: the first free port from 7860 on")
    parser.add_argument("--max_mb", type=int, default=512, help="largest upload, megabytes")
    parser.add_argument(
        "--max_total_mb",
        type=int,
        default=None,
        help="disk space of all visitors, MB (default: 8192)",
    )
    parser.add_argument(
        "--allow_origin", default=None,
        help="address of a reverse proxy in front of the server, such as https://emotion.example.org; several with "
        "commas between",
    )  # fmt: skip
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")

    def run(args) -> int:
        from ..inference.app.server import serving

        origins = tuple(name.strip() for name in (args.allow_origin or "").split(",") if name.strip())
        limits = args.max_mb, args.device, args.max_total_mb
        stopped = Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        with serving(args.model, args.host, args.port, *limits, origins) as (address, folder):
            say(f"{address}    files are stored in {folder} until this ends (Ctrl-C)")
            with suppress(KeyboardInterrupt):
                while not stopped.wait(1):
                    pass
        say("stopped; all files are deleted")
        return 0

    return run


@command(
    "model",
    "show a model, export it to ONNX, prune it, compare it with others, push it to the Hugging Face hub",
    """
    gbvnet model show MODEL                          # a folder, or user/name on the hub
    gbvnet model export MODEL model.onnx             # needs the extra `onnx`; compared with torch and timed
    gbvnet model export MODEL int8.onnx --int8 --store deap.store      # calibrated on windows of its training subjects
    gbvnet model prune MODEL half --keep 0.5 --store deap.store        # half of the channels, then trained further
    gbvnet model compare MODEL half int8.onnx --store deap.store       # score, MB, ms, windows/s, memory
    gbvnet model push MODEL user/name                # private, unless --public is given
    """,
)
def _model(parser) -> Run:
    from ..config import PruneConfig

    parser.add_argument(
        "what", choices=list(_NEEDS),
        help="show: print; export: write as ONNX; prune: make a smaller one; compare: measure several side by side; "
        "push: send to the hub",
    )  # fmt: skip
    parser.add_argument("model", type=Path, help="a folder that `gbvnet train` wrote, or user/name on the hub")
    parser.add_argument(
        "to", nargs="*", metavar="TO",
        help="export: the file to write; prune: the folder to write; compare: other models, or .onnx files; push: "
        "user/name on the hub",
    )  # fmt: skip
    parser.add_argument("--public", action="store_true", help="push: make it public")
    parser.add_argument("--int8", action="store_true", help="export: in int8, calibrated on windows of --store")
    parser.add_argument(
        "--store", type=Path, default=None,
        help="prune, compare and --int8: the store that the model was trained on; a comparison without it has no score",
    )  # fmt: skip
    add_fields(parser, PruneConfig)
    return _run_model


_NEEDS = {  # action: what stands behind the model; "" for nothing
    "show": "",
    "export": "the file to write, as model.onnx",
    "prune": "the folder to write",
    "compare": "another model, or an .onnx file",
    "push": "the destination, as user/name",
}
_OPTIONS = {"store": ("export", "prune", "compare"), "int8": ("export",), "public": ("push",)}  # option: its actions
_OPTIONS |= dict.fromkeys(("keep", "by", "stages", "epochs"), ("prune",))


def _run_model(args) -> int:
    _refuse_other_arguments(args)
    for line in _MODEL_ACTIONS[args.what](args):
        say(line)
    return 0


def _refuse_other_arguments(args) -> None:
    """Raise BadConfig for an option of another action, and for too few or too many arguments."""
    from ..config import PruneConfig

    default = vars(PruneConfig()) | {"store": None, "int8": False, "public": False}
    for name, actions in _OPTIONS.items():
        if args.what not in actions and getattr(args, name) != default[name]:
            raise BadConfig(f"--{name} is an option of model {' and '.join(actions)}, not of model {args.what}")
    needs, most = _NEEDS[args.what], {"show": 0, "compare": 99}.get(args.what, 1)
    if needs and not args.to:
        raise BadConfig(f"model {args.what}: give {needs}")
    if len(args.to) > most:
        raise BadConfig(f"model {args.what}: {args.to[most]} is an argument too many")
    if args.store is None and (args.what == "prune" or args.int8):
        what = "prune" if args.what == "prune" else "export --int8"
        raise BadConfig(f"model {what}: give --store, the store that the model was trained on")
    if args.what == "export" and args.store is not None and not args.int8:
        raise BadConfig("model export: --store is for --int8; in float32 nothing is calibrated")


def _show_model(args) -> list[str]:
    from ..network.checkpoint.describe import describe_model

    return [describe_model(args.model)]


def _export_model(args) -> list[str]:
    from ..network.checkpoint.onnx import export_onnx

    if not args.int8:
        return [str(export_onnx(args.model, args.to[0]))]
    from ..network.checkpoint.int8 import export_int8
    from ..store.reader import open_store

    return [str(export_int8(args.model, args.to[0], open_store(args.store)))]


def _prune_model(args) -> list[str]:
    from ..config import PruneConfig
    from ..experiments.prune import prune_model
    from ..store.reader import open_store

    how = PruneConfig(args.keep, args.by, args.stages, args.epochs)
    return prune_model(args.model, args.to[0], open_store(args.store), how).lines


def _compare_models(args) -> list[str]:
    from ..experiments.side_by_side import compare_models
    from ..store.reader import open_store

    store = None if args.store is None else open_store(args.store)
    return compare_models([args.model, *args.to], store).lines


def _push_model(args) -> list[str]:
    from ..network.checkpoint.hub_model import push_model

    return [push_model(args.model, args.to[0], private=not args.public)]


_MODEL_ACTIONS = {
    "show": _show_model,
    "export": _export_model,
    "prune": _prune_model,
    "compare": _compare_models,
    "push": _push_model,
}


@command(
    "demo",
    "run every step on a small synthetic corpus; some minutes on 2 cores",
    """
    gbvnet demo                      # into ./gbvnet-demo; ends with the path of the report
    """,
)
def _demo(parser) -> Run:
    parser.add_argument("dir", type=Path, nargs="?", default=Path("gbvnet-demo"), help="the folder for all results")
    add_jobs(parser)

    def run(args) -> int:
        from .demo import run_demo

        return run_demo(args.dir, args.jobs)

    return run
