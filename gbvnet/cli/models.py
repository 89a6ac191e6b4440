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
    parser.add_argument("--overwrite", action="store_true", help="replace a prediction that is in OUT")
    parser.add_argument("--device", choices=["auto", "cpu", "gpu"], default="auto", help="where to compute")
    add_fields(parser, Times, "times")
    add_jobs(parser, default=1)

    def run(args) -> int:
        from ..inference.batch import CorpusSource, FileSource, PredictionSettings, predict_many

        if len(args.paths) < 2:
            raise BadConfig("predict: give a recording and then the folder to write")
        *files, out = args.paths
        settings = PredictionSettings(args.step_s, args.smooth_s, renamed_channels(args.rename), args.device)
        source: CorpusSource | FileSource = FileSource(files, args.times)
        if args.corpus is not None:
            if len(files) != 1:
                raise BadConfig(f"predict --corpus {args.corpus}: give its folder, and then the folder to write")
            selected = names_in_text(args.recordings), names_in_text(args.subjects)
            source = CorpusSource(args.corpus, files[0], *selected, chosen_corpus_options(args))
        elif given := [f"--{name}" for name, value in chosen_corpus_options(args).items() if value is not None]:
            raise BadConfig(f"{given[0]} is an option of a corpus: name the corpus with --corpus")
        with bar("recordings", unit="windows") as progress:
            batch = predict_many(
                args.model, source, out, settings, overwrite=args.overwrite, jobs=args.jobs, progress=progress
            )
        for line in batch.lines:
            say(line)
        return 1 if batch.bad else 0

    return run


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

    def run(args) -> int:
        from ..inference.streaming.row_file import RowOutput
        from .live import run_live

        run_live(
            args.model, chosen_settings(args, LiveSources), say, rename=renamed_channels(args.rename),
            seconds=args.seconds, output=args.out and RowOutput(args.out, args.overwrite), device=args.device,
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
    "show what a model expects and how it was trained; export it to ONNX; push it to the Hugging Face hub",
    """
    gbvnet model show MODEL                          # a folder, or user/name on the hub
    gbvnet model export MODEL model.onnx             # needs the extra `onnx`; compared with torch and timed
    gbvnet model push MODEL user/name                # private, unless --public is given
    """,
)
def _model(parser) -> Run:
    parser.add_argument("what", choices=["show", "export", "push"], help="print; write as ONNX; send to the hub")
    parser.add_argument("model", type=Path, help="a folder that `gbvnet train` wrote, or user/name on the hub")
    parser.add_argument("to", nargs="?", metavar="TO", help="export: the file to write; push: user/name on the hub")
    parser.add_argument("--public", action="store_true", help="push: make it public")

    def run(args) -> int:
        if args.what == "show":
            from ..network.checkpoint.describe import describe_model

            say(describe_model(args.model))
            return 0
        if not args.to:
            missing = "the file to write, as model.onnx" if args.what == "export" else "the destination, as user/name"
            raise BadConfig(f"model {args.what}: give {missing}")
        if args.what == "export":
            from ..network.checkpoint.onnx import export_onnx

            say(str(export_onnx(args.model, args.to)))
            return 0
        from ..network.checkpoint.hub_model import push_model

        say(push_model(args.model, args.to, private=not args.public))
        return 0

    return run


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
