"""Commands for data: synth, check, prepare, modality, table, weights."""

from pathlib import Path

from .command import Run, command
from .options import add_corpus, add_jobs, add_settings, chosen_corpus, chosen_settings, titles
from .progress import bar, columns, say


@command(
    "synth",
    "write a synthetic corpus in the exact on-disk format",
    """
    gbvnet synth deap /tmp/deap                                # 4 subjects x 12 trials x 6 s
    gbvnet synth deap --help                                   # the limits and options of this format
    gbvnet synth deap /tmp/null --subjects 8 --effect 0        # no effect: nothing can be learnt but leakage
    gbvnet synth deap /tmp/raw --raw                           # and DEAP's original recordings of the same trials
    gbvnet synth mahnob /tmp/mahnob --subjects 3 --trials 4    # videos of 6 to 8 s, 30 s before and after each
    gbvnet synth amigos /tmp/amigos --flaws true               # MATLAB files, with what the real ones lack
    gbvnet synth bids /tmp/bids --dialect events               # BIDS with its mapping; --trap plants a known fault
    gbvnet synth table /tmp/table --seconds 20                 # signals, with classes, other scales, a joystick
    """,
    by_arguments=True,
)
def _synth(parser, argv) -> Run:
    from ..config import SynthConfig
    from ..datasets import corpora, raw_corpora, synthetic_corpora, synthetic_settings, write_synthetic

    formats = {name: corpora()[name] for name in synthetic_corpora()}
    chosen = next((argument for argument in argv if argument in formats), None)
    settings = synthetic_settings(chosen) if chosen else SynthConfig
    limits = ", ".join(f"{most} {name}" for name, most in settings.limits.items())
    parser.add_argument(
        "corpus",
        choices=list(formats),
        help=f"the format that is written: {titles(formats)}" + f". {chosen}: at most {limits}" * bool(limits),
    )
    parser.add_argument("dir", type=Path, help="an empty or new folder")
    add_settings(parser, settings, skip={"raw"})
    if hasattr(settings, "raw"):
        recorded = titles({name: entry for name, entry in raw_corpora().items() if name == chosen})
        parser.add_argument(
            "--raw", action="store_true", help=f"also write the signals as they were recorded; {recorded}"
        )
    add_jobs(parser)

    def run(args) -> int:
        config = chosen_settings(args, settings)
        with bar("writing synthetic recordings") as progress:
            write_synthetic(args.corpus, args.dir, config, args.jobs, progress)
        size = f"{config.subjects} subjects x {config.trials} trials x {config.seconds} s"
        say(f"{args.dir}: synthetic data in the format of {args.corpus}, {size}")
        return 0

    return run


@command(
    "check",
    "check every recording of a corpus; exit 1 if any is bad",
    """
    gbvnet check deap /data/DEAP
    gbvnet check deap /data/DEAP --raw               # the original recordings instead of the preprocessed release
    gbvnet check bids /data/ds003751                 # any BIDS dataset, by a mapping (docs/corpora/bids.md)
    gbvnet check mahnob /data/MAHNOB                 # also what each subject lacks, and how clocks agree
    """,
)
def _check(parser) -> Run:
    add_corpus(parser)
    add_jobs(parser)

    def run(args) -> int:
        from ..datasets.check import check_corpus, count_complete, group_notes, missing, scale_notes, summarize
        from ..datasets.duplicates import notes

        corpus, units = chosen_corpus(args), []
        if corpus.synthetic:
            say(f"{args.root}: synthetic data")
        with bar("checking") as progress:
            for unit in check_corpus(corpus, args.jobs, progress=progress):
                units.append(unit)
                say(_status_lines(unit, args.verbose))
        recordings = [r for unit in units for r in unit.recordings]
        good = [r for r in recordings if not r.error]
        once = group_notes(((r.name, warning) for r in recordings for warning in r.warnings), len(recordings))
        complete = count_complete(units) if getattr(corpus, "has_videos", True) else []
        for note in (*once, *corpus.notes(), *notes(good), *scale_notes(units), *complete):
            say(f"note {note}")
        for line in columns(missing(units)):
            say(line)
        say(summarize(units))
        return 1 if any(u.bad for u in units) else 0

    return run


@command(
    "prepare",
    "cut a corpus into a store of windows; resumes after an interruption",
    """
    gbvnet prepare deap /data/DEAP /data/deap.store --jobs 8
    gbvnet prepare deap /data/DEAP /data/deap112.store --face_side 112
    gbvnet prepare deap /data/DEAP /data/raw.store --raw         # signals from data_original/*.bdf
    gbvnet prepare deap /data/DEAP /data/nofaces.store --store_faces features   # measurements of faces, no picture
    """,
)
def _prepare(parser) -> Run:
    from ..config import PrepareConfig

    add_corpus(parser)
    parser.add_argument("store", type=Path, help="the folder of the store, to create or to resume")
    add_settings(parser, PrepareConfig)
    add_jobs(parser, cluster=True)

    def run(args) -> int:
        from ..datasets.check import group_notes
        from ..store.prepare import prepare_store
        from ..store.reader import open_store

        config = chosen_settings(args, PrepareConfig)
        corpus = chosen_corpus(args)
        with bar("preparing", unit="s of recording") as progress:
            summary = prepare_store(corpus, args.store, config, args.jobs, progress)
        of_corpus = (
            corpus.notes() if args.corpus in ("table", "bids") else ()
        )  # channels that are not used, the mapping
        for line in (
            *group_notes(summary.recording_warnings, summary.n_good),
            *summary.name_warnings,
            *of_corpus,
            *summary.scale_warnings,
            *summary.unused_files,
        ):
            say(f"note {line}")
        if summary.n_good:
            say(f"{open_store(args.store)!r}")
        else:
            say(f"{args.store}: no recording could be used, so this is no finished store; correct them and run again")
        say(f"{summary.n_prepared} recordings prepared, {summary.n_reused} prepared before, {len(summary.bad)} bad")
        return 1 if summary.bad else 0

    return run


@command(
    "modality",
    "add a further modality to a store, such as the sound of its films: read by a plug-in, kept beside the store",
    """
    gbvnet modality add mine.store examples/audio.py:LogMel table /data/mine
    gbvnet modality list mine.store                  # those it has, with the shape of a window
    """,
    by_arguments=True,
)
def _modality(parser, argv) -> Run:
    lists = bool(argv) and argv[0] == "list"
    parser.add_argument(
        "what", choices=["add", "list"], help="add: read one from the corpus of the store; list: those that it has"
    )
    parser.add_argument("store", type=Path, help="the folder of a finished store; it is not changed")
    if lists:
        return _list_modalities
    parser.add_argument(
        "plugin", help="file.py:Class or module:Class, what reads the modality of a recording (docs/modalities.md)"
    )
    add_corpus(parser)
    add_jobs(parser, default=1)
    return _add_modality


def _list_modalities(args) -> int:
    from ..errors import BadStore
    from ..store.modalities import modality_names, open_modality
    from ..store.reader import open_store

    store = open_store(args.store)
    rows, bad = [("name", "window", "recordings", "windows", "code")], []
    for name in modality_names(store.path):
        try:
            stored = open_modality(store.path, name, store.digest)
        except BadStore as error:
            bad.append(f"BAD  {error}")
            continue
        good = [each for each in stored.statuses.values() if each.status == "ok"]
        shape, code = " x ".join(map(str, stored.info.shape)), stored.settings.code
        read = f"{len(good)} of {len(stored.statuses)}", f"{sum(each.n_with for each in good)} of {len(store)}"
        rows.append((name, shape, *read, f"{code.get('name', 'gbvnet')} {code.get('sha256', '')[:12]}"))
    for line in [*(columns(rows) if len(rows) > 1 else ()), *bad]:
        say(line)
    if len(rows) == 1 and not bad:
        say(f"{args.store} has no further modality; `gbvnet modality add` adds one")
    return 1 if bad else 0


def _add_modality(args) -> int:
    from .. import plugins
    from ..store.add_modality import add_modality, modality_object
    from ..store.reader import open_store

    store = open_store(args.store)
    modality = modality_object(plugins.load(args.plugin, plugins.MODALITY_GROUP), args.plugin)
    with bar(f"reading {modality.name}", unit="recordings") as progress:
        summary = add_modality(store, modality, chosen_corpus(args), args.jobs, progress)
    for status in summary.statuses:
        if status.status == "ok" and status.n_with < status.n_windows:
            say(f"note {status.recording}: {modality.name} in {status.n_with} of {status.n_windows} windows")
    shape = " x ".join(map(str, summary.shape))
    say(f"{summary.folder}: {modality.name}, {shape} a window")
    counts = f"{summary.count('ok')} recordings have it, {summary.count('none')} do not, {len(summary.bad)} bad"
    say(f"{counts}; {summary.n_reused} of them read before")
    return 1 if summary.bad else 0


@command(
    "table",
    "write a table to fill in for your own recordings; then `gbvnet check table`",
    """
    gbvnet table init /data/mine                     # writes recordings.csv and table.yaml there
    gbvnet table init session.xdf                    # lists the streams of a file of LabRecorder, and writes xdf.yaml
    gbvnet check table /data/mine                    # once they are filled in
    gbvnet prepare table /data/mine mine.store
    gbvnet table init --bids /data/ds000000          # the mapping of a BIDS dataset; then `gbvnet check bids`
    """,
)
def _table(parser) -> Run:
    parser.add_argument("what", choices=["init"], help="init: write the table, with a comment on each column")
    parser.add_argument(
        "folder", type=Path, help="the folder with the videos and signal files; or an .xdf file, or a folder of them"
    )
    parser.add_argument(
        "--bids", action="store_true", help="the folder is a BIDS dataset: write a draft of its gbvnet-mapping.yaml"
    )

    def run(args) -> int:
        if args.bids:
            from ..datasets.bids_template import write_mapping

            mapping, todo = write_mapping(args.folder)
            state = "nothing to fill in" if not todo else f"to fill in: {'; '.join(todo)}"
            say(f"{mapping}: a draft, {state}; then `gbvnet check bids {args.folder}`")
            return 0
        from ..datasets.table_template import only_xdf, write_template

        if only_xdf(args.folder):
            return _draft_xdf(args.folder)
        table, lines = write_template(args.folder)
        settings = f"{table.parent / 'table.yaml'}: settings of all recordings"
        say(f"{table}: {lines} line{'s' * (lines != 1)} to fill in; {settings}")
        return 0

    return run


@command(
    "weights",
    "download the face landmark model once; its hash is checked",
    """
    gbvnet weights                                  # from the internet
    gbvnet weights --from face_landmarker.task      # from a file, offline
    """,
)
def _weights(parser) -> Run:
    parser.add_argument("--from", dest="file", type=Path, default=None, help="use this file, no download")

    def run(args) -> int:
        from ..io.landmark_model import fetch_landmark_model

        say(str(fetch_landmark_model(args.file)))
        return 0

    return run


def _draft_xdf(path: Path) -> int:
    """Write xdf.yaml, and list the streams that it is from."""
    from ..datasets.xdf_template import write_draft

    draft = write_draft(path)
    of = f", the first of {draft.n_files} files" if draft.n_files > 1 else ""
    say(f"{draft.example}{of}:")
    for line in (*columns(draft.rows), *(f"note {note}" for note in draft.notes)):
        say(line)
    root = draft.settings.parent
    if draft.marked:
        say(f"{draft.settings}: {len(draft.marked)} line{'s' * (len(draft.marked) != 1)} to fill in:")
        say("\n".join(f"    {line}" for line in draft.marked))
    else:
        say(f"{draft.settings}: nothing to fill in; read it all the same")
    say(f"then: gbvnet check xdf {root}")
    return 0


def _status_lines(unit, verbose: bool) -> str:
    """Return a line for a good unit, and one more for each recording that is not good."""
    if unit.error:
        return f"BAD  {unit.name}  {unit.error}"
    videos = sum(r.video is not None for r in unit.recordings)
    lines = [f"ok   {unit.name}  {unit.good} of {len(unit.recordings)} recordings, {videos} with a video"]
    lines += [f"note {unit.name}  {warning}" for warning in unit.warnings]
    for r in unit.recordings:
        if r.error:
            lines.append(f"BAD  {r.name}  {r.error}")
        if verbose and not r.error:
            lines.append(f"ok   {r.name}  stimulus {r.stimulus}, {'video' if r.video else 'no video'}")
    return "\n".join(lines if unit.good or not unit.recordings else lines[1:])
