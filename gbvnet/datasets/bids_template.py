"""The draft of a BIDS dataset's mapping, written by `gbvnet table init --bids ROOT` from what its files hold.

What the files decide stands there as it is. What somebody must decide is FILL_IN, with what was measured beside it; a
draft without any FILL_IN can be used at once.
"""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from ..errors import BadInput, BadRecording
from ..io.atomic import atomic_write
from ..text import shortened
from .bids_columns import RatingColumn, Tables, columns_in, label_of, tables_of
from .bids_files import FORMATS, BidsFiles, BidsRun, require_signals
from .bids_mapping import ANY, FILE, FILL_IN
from .bids_table import number_in
from .formats.device_files import open_device
from .formats.physio import PhysioFile, kind_of
from .formats.signal_file import open_signals
from .label_columns import NAME
from .names import normal

MOST_TYPES, MOST_RUNS = 12, 30
STIMULUS_COLUMNS = ("stim_file", "stimulus", "stimulus_name", "video", "video_name", "video_index", "film", "clip")


@dataclass
class _Draft:
    """What is known of a dataset. todo : what somebody must decide"""

    files: BidsFiles
    runs: list[BidsRun]
    events: Tables
    beh: Tables
    todo: list[str] = field(default_factory=list)

    def fill(self, what: str) -> str:
        self.todo.append(what)
        return FILL_IN


def write_mapping(root: Path) -> tuple[Path, list[str]]:
    """Write the draft of a mapping into a dataset. Returns its path, and what must be filled in.

    Raises BadInput if there is a mapping already, or the folder is no BIDS dataset or cannot be written.
    """
    path = root / FILE
    if path.exists():
        raise BadInput(path, "no mapping yet", "one", "Take it away, or edit it and use `gbvnet check bids`.")
    kind = next((kind for kind in FORMATS if kind != "beh" and _runs(BidsFiles.open(root, kind))), "beh")
    files = BidsFiles.open(root, kind)
    draft = _Draft(files, _runs(files), tables_of(files, "events"), tables_of(files, "beh"))
    lines = [
        f"# Draft of the mapping of {root.name}, by its files; docs/corpora/bids.md describes each key.",
        f"# Then: gbvnet check bids {root}",
        f"dataset: {_flow(_dataset(root))}",
        *([f"kind: {kind}"] if kind != "eeg" else []),
        "baseline_s: 3             # seconds of baseline before each stimulus; 0 for none",
        *_ratings(draft), *_trial(draft), *_physio(draft), *_video(draft),
    ]  # fmt: skip
    try:
        atomic_write(path, ("\n".join(lines) + "\n").encode())
    except OSError as error:
        raise BadInput(root, "a folder that can be written", error.strerror or error) from None
    return path, draft.todo


def _runs(files: BidsFiles) -> list[BidsRun]:
    runs: list[BidsRun] = []
    for subject in files.subjects:
        runs += files.runs(subject)
        if len(runs) >= MOST_RUNS:
            break
    return runs


def _dataset(root: Path) -> str:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in normal(root.name)).strip("-")
    return name if name[:1].isalnum() else "bids"


def _flow(value: object) -> str:
    return (
        yaml.safe_dump(value, default_flow_style=True, width=10**9, allow_unicode=True, sort_keys=False)
        .strip()
        .removesuffix("\n...")
    )


# ---------------------------------------------------------------- ratings


def _ratings(draft: _Draft) -> list[str]:
    """Return the lines on ratings: those of beh if it has some, else of events, else channels named like ratings."""
    for source, tables in (("beh", draft.beh), ("events", draft.events)):
        columns = columns_in(tables)
        if columns:
            key = _key(draft) if source == "beh" else ""
            head = ["ratings:", f"  from: {source}"]
            if key:
                head.append(f"  key: {_flow(key)}              # has the same values in events and beh")
            elif source == "beh":
                head.append("  # key: COLUMN or {events: A, beh: B}; without one, rows are joined by their order")
            return [*head, "  labels:               # names of your own are possible; delete what is no rating",
                    *_label_lines(draft, columns)]  # fmt: skip
    channels = _rating_channels(draft)
    if channels:
        scales = [
            f"    {label}: {{channel: {_flow(name)}, scale: {draft.fill(f'the scale of {name}')}}}"
            for name, label in channels
        ]
        return ["ratings:", "  from: channels          # of the signal file, which change in time", "  labels:",
                *(line.replace(FILL_IN, f"[{FILL_IN}, {FILL_IN}]") for line in scales)]  # fmt: skip
    draft.fill("where the ratings are: no column or channel is named like one")
    return ["ratings:", f"  from: {FILL_IN}           # beh, events, channels or codes", "  labels:",
            f"    valence: {{column: {FILL_IN}, scale: [1, 9]}}"]  # fmt: skip


def _label_lines(draft: _Draft, columns: list[RatingColumn]) -> list[str]:
    lines: list[str] = []
    named: set[str] = set()
    for column in sorted(columns, key=lambda c: (label_of(c.name) is None, c.name)):
        label = label_of(column.name) or "".join(c if c.isalnum() else "_" for c in column.name.lower())
        label = label if NAME.fullmatch(label) and label not in named else f"rating_{len(named) + 1}"
        named.add(label)
        what = f"{column.n} values from {column.low:g} to {column.high:g}{', whole numbers' if column.whole else ''}"
        if column.scale is not None:
            scale = _flow([int(x) if x == int(x) else x for x in column.scale])
            what = f"{what}; scale by its JSON file"
        else:
            draft.fill(f"the scale of {column.name}")
            scale = f"[{FILL_IN}, {FILL_IN}]"
        lines.append(f"    {_flow(label)}: {{column: {_flow(column.name)}, scale: {scale}}}   # {what}")
    return lines


def _key(draft: _Draft) -> str:
    """Return the column of events and beh that has the same values in both; "" if none has."""
    beh_columns = {name for table in draft.beh.tables for name in table.columns}
    for name in (*STIMULUS_COLUMNS, *sorted(beh_columns)):
        beh = [row[name] for table in draft.beh.tables for row in table.rows if name in row]
        events = [row[name] for table in draft.events.tables for row in table.rows if name in row]
        if name not in ("onset", "duration", "trial_type") and beh and {*beh} <= {*events} and len({*beh}) > 1:
            return name
    return ""


def _rating_channels(draft: _Draft) -> list[tuple[str, str]]:
    """Return channels of the first signal file that are named like ratings, each with a label."""
    for run in draft.runs:
        try:
            require_signals(run.signals.path)
            names = open_signals(run.signals.path).names
        except BadRecording:
            continue
        usual = {"va1": "valence", "va2": "arousal"}
        return [(name, label) for name in names if (label := usual.get(name.lower()) or label_of(name))]
    return []


# ---------------------------------------------------------------- trials


def _trial(draft: _Draft) -> list[str]:
    tables = draft.events.tables
    if not tables:
        draft.fill("which annotations start a trial: there is no events.tsv")
        return ["trial:", f"  annotation: {FILL_IN}     # a REGEX of annotations of the signal file",
                *_annotation_lines(draft), f"  duration: {FILL_IN}       # seconds, or `next`"]  # fmt: skip
    types = Counter(row.get("trial_type", "n/a") for table in tables for row in table.rows)
    lines = ["trial:", f"  # trial_type: {shortened([f'{name} ({n})' for name, n in types.most_common()], MOST_TYPES)}"]
    rows = _rows(draft, types)
    shown = _flow(rows) if rows is not None else draft.fill("which rows of events are trials (rows)")
    lines.append(f"  rows: {shown}")
    lines.append(_onset_line(draft))
    chosen = [row for table in tables for row in table.rows if rows is None or _chosen(row, rows)]
    lengths = [number_in(row.get("duration")) for row in chosen]
    known = [x for x in lengths if x is not None and x > 0]
    if known and len(known) == len(lengths) and rows is not None:
        lines.append(f"  duration: duration        # {min(known):g} to {max(known):g}")
    else:
        span = f"of durations {len(known)} of {len(lengths)} are above 0" if lengths else "no durations"
        lines.append(f"  duration: {draft.fill('when trials end (duration)')}   # seconds, `next` or a column; {span}")
    stimulus = next((name for name in STIMULUS_COLUMNS if any(name in row for row in chosen)), "")
    return [
        *lines,
        *([f"  stimulus: {_flow(stimulus)}"] if stimulus else ["  # stimulus: COLUMN       # that names the stimulus"]),
    ]


def _chosen(row: dict[str, str], rows: dict[str, str]) -> bool:
    return all(name in row and (value == ANY or row[name] == value) for name, value in rows.items())


def _rows(draft: _Draft, types: Counter[str]) -> dict[str, str] | None:
    """Return which rows are trials: those with ratings; else those of the one type that is as common as ratings are."""
    columns = columns_in(draft.events) if not columns_in(draft.beh) else []
    if columns:
        return {max(columns, key=lambda column: column.n).name: ANY}  # a trial may lack one rating
    key = _key(draft)
    if key:
        keyed = {row.get("trial_type", "n/a") for table in draft.events.tables for row in table.rows if key in row}
        return {"trial_type": keyed.pop()} if len(keyed) == 1 and "n/a" not in keyed else {key: ANY}
    n = sum(len(table.rows) for table in draft.beh.tables)
    same = [name for name, count in types.items() if count == n and name != "n/a"]
    return {"trial_type": same[0]} if len(same) == 1 else None


def _annotation_lines(draft: _Draft) -> list[str]:
    for run in draft.runs:
        try:
            require_signals(run.signals.path)
            raw = getattr(open_signals(run.signals.path), "raw", None)
        except BadRecording:
            continue
        texts = Counter(map(str, raw.annotations.description)) if raw is not None else Counter[str]()
        held = shortened([f"{text!r} ({n})" for text, n in texts.most_common()], MOST_TYPES)
        return [f"  # annotations of {run.signals.path.name}: {held or 'none'}"]
    return []


def _onset_line(draft: _Draft) -> str:
    """Return the line on the unit of onsets, by the length of the first signal file that can be opened."""
    for run in draft.runs:
        try:
            require_signals(run.signals.path)
            file, path = open_signals(run.signals.path), run.table("events")
        except BadRecording:
            continue
        table = next((t for t in draft.events.tables if t.path == path), None)
        onsets = [x for row in table.rows if (x := number_in(row.get("onset"))) is not None] if table else []
        if not onsets:
            continue
        last, stop, rate_hz = max(onsets), file.segments[-1].stop_s, max(file.rates_hz)
        what = f"the last onset of {run.signals.path.name} is {last:g}, its signals last {stop:.1f} s at {rate_hz:g} Hz"
        if last <= stop + 1:
            return f"  onset_unit: s            # {what}"
        if last / rate_hz <= stop + 1:
            return f"  onset_unit: samples      # {what}"
        return f"  onset_unit: {draft.fill('the unit of onsets')}       # s or samples; {what}"
    return "  onset_unit: s            # or samples; no signal file could be opened to tell"


# ---------------------------------------------------------------- physio and videos


def _physio(draft: _Draft) -> list[str]:
    paths = {f.name["recording"]: f.path for run in reversed(draft.runs) for f in run.find("physio", (".tsv.gz",))}
    lines: list[str] = []
    for recording, path in sorted(paths.items()):
        try:
            file = open_device(path)
        except BadRecording as error:
            lines.append(f"  # {recording or 'without recording-'}: {error.found}")
            continue
        if not isinstance(file, PhysioFile):
            continue
        channels = {name: kind for name in file.labels if (kind := kind_of(name))}
        other = [name for name in file.labels if name not in channels]
        if not channels:
            lines.append(
                f"  # {recording or 'without recording-'} has no column of a known kind: {shortened(other, 8)}"
            )
            continue
        held: dict[str, object] = {"channels": channels}
        if file.start_unix_s is not None:
            held |= {
                "anchor": draft.fill("when the EEG began (anchor), for a StartTime that is Unix time"),
                "utc_offset_h": 0,
            }
        more = f"; not used: {shortened(other, 6)}" if other else ""
        lines.append(f"  {_flow(recording)}: {_flow(held)}   # {file.rates_hz[0]:g} Hz{more}")
    return (
        ["physio:                   # by the label of recording-; channels: column -> kind", *lines]
        if any(not line.lstrip().startswith("#") for line in lines)
        else [line.strip() for line in lines]
    )


def _video(draft: _Draft) -> list[str]:
    named = [video for run in draft.runs for video in run.videos()]
    if named:
        return [f"# {len(named)} videos are named as in BEP047 ({named[0].name}) and are used as they are"]
    source = draft.files.root / "sourcedata"
    videos = (
        sorted(f for f in source.rglob("*") if f.suffix.lower() in (".mp4", ".avi", ".mkv", ".mov"))
        if source.is_dir()
        else []
    )
    if not videos:
        return []
    first = videos[0].relative_to(draft.files.root).as_posix()
    return [f"# {len(videos)} videos in sourcedata, as {first}. If they show faces:",
            "# video: {files: 'sourcedata/sub-{sub}/*.mp4', begins: run, offset_s: 0}"]  # fmt: skip
