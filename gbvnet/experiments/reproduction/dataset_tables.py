"""What a store contains beside what the paper says of its data: Tables 1 and 2, and what was excluded.

Blocks of a page, a CSV file for each table. No torch.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from ...evaluation.targets import LOW_HIGH, Target, midpoint_rule, rule_in_words
from ...provenance import SYNTHETIC, stamped_title, without_stamp
from ...report.document import Block, Heading, Table, Text
from ...report.figures import INK, RIGHT, SOFT, WARN, empty_figure, styled, write_picture
from ...report.formatting import NONE
from ...report.published_results import PAPER_DATA, PAPER_MONTAGE
from ...store.window_source import WindowSource
from ...text import shortened

TITLES = {"deap": "DEAP", "mahnob": "MAHNOB-HCI"}
FRAMES = {"deap": "10 fps", "mahnob": "12 fps"}  # section 4.1
MOST_ROWS = 30  # of a list on the page; the CSV file has all


def data_blocks(stores: Sequence[WindowSource], folder: Path) -> Iterator[Block]:
    """Yield Table 1, what was excluded, and Table 2, for each corpus; writes into folder/tables and folder/figures."""
    first: dict[str, WindowSource] = {}
    for store in stores:
        first.setdefault(store.title, store)
    for store in first.values():
        yield from _table_1(store, folder)
        yield from _left_out(store, folder)
        yield from _table_2(store, folder)


def slug(title: str) -> str:
    """Return the name of a corpus as a part of file names."""
    return without_stamp(title).replace(" ", "-")


def corpus_name(title: str) -> str:
    """Return the name of a corpus as the report writes it, with its stamp."""
    known = TITLES.get(without_stamp(title), without_stamp(title))
    return stamped_title(known, SYNTHETIC in title)


# ---------------------------------------------------------------- Table 1: the data


def table_1(store: WindowSource) -> pd.DataFrame:
    """Return what a store contains beside what the paper's Table 1 says. Columns: attribute, found, paper."""
    paper = PAPER_DATA.get(store.settings["dataset"], {})
    windows, s = store.windows, store.settings
    whole = windows[complete(store)]
    kinds = [kind for _, kind in s["channels"]]
    n_eeg = kinds.count("eeg")
    trials = whole.groupby("subject")["trial"].nunique()
    length_s = whole.groupby("recording")["start_s"].max() + s["prepare"]["window_s"]
    window_s, step_s = s["prepare"]["window_s"], s["prepare"]["step_s"] or s["prepare"]["window_s"]
    subjects, recordings = windows["subject"].nunique(), windows["recording"].nunique()
    rows: list[tuple[str, str, str | None]] = [
        ("Subjects", f"{whole['subject'].nunique()} with every modality, of {subjects}", paper.get("subjects")),
        ("Available channels", f"{len(kinds)}: {n_eeg} EEG, {len(kinds) - n_eeg} peripheral", paper.get("channels")),
        ("Length of each trial", f"{_range(length_s)} s", paper.get("length")),
        ("Trials of each subject", _range(trials), paper.get("trials")),
        ("Trials", f"{whole['recording'].nunique():,} with every modality, of {recordings:,}", None),
        ("Stimuli", f"{whole['stimulus'].nunique()}", None),
        ("Windows", f"{len(whole):,} with every modality, of {len(windows):,}", None),
        ("Window", f"{window_s:g} s, one every {step_s:g} s", "1 s, no overlap"),
        ("Signals", f"{s['rate_hz']:g} Hz, {s['samples_per_window']} samples a window", "128 Hz"),
        ("Faces", f"{s['frames_per_window']} frames a window, {_of_frame(store)}", FRAMES.get(s["dataset"])),
        ("Baseline subtracted", str(s["prepare"]["baseline"]), "mean"),
        ("Emotional description", ", ".join(_labelled(store, whole)), paper.get("emotions")),
    ]
    labels = store.labels
    for name in [name for name in _labelled(store, whole) if labels[name].scale == (1, 9)][:2]:  # as the paper's
        rule = midpoint_rule((1, 9))
        high = Target(name, "binary", rule, (name,), ((1, 9),), LOW_HIGH).values(whole).astype("int8")
        of_trials = high.groupby(whole["recording"]).first()
        counts = [f"{y.sum():,} / {(1 - y).sum():,} {what}" for y, what in ((of_trials, "trials"), (high, "windows"))]
        rows.append((f"{name.capitalize()}: ratings", _range(whole[name]), None))
        rows.append((f"{name.capitalize()}: high / low ({rule_in_words(rule)})", ", ".join(counts), None))
    return pd.DataFrame([(a, f, p or "not given") for a, f, p in rows], columns=["attribute", "found", "paper"])


def _of_frame(store: WindowSource) -> str:
    return f"{store.settings['face_side']} px" if store.has_pixels else f"{len(store.face_feature_names)} features"


def complete(store: WindowSource) -> pd.Series:
    """Return whether each window has every modality that the store was prepared with."""
    prepared, ok = store.settings["prepare"], pd.Series(True, store.windows.index)
    for column, part in (("has_face", "faces"), ("has_signals", "signals")):
        if prepared[part]:
            ok &= store.windows[column]
    return ok


def _labelled(store: WindowSource, windows: pd.DataFrame) -> list[str]:
    """Return the label columns that have a value in any window; a category without one is empty text."""
    return [name for name in store.labels if (windows[name].notna() & (windows[name] != "")).any()]


def _range(values: pd.Series) -> str:
    low, high = values.min(), values.max()
    return f"{low:g}" if low == high else f"{low:g} to {high:g}"


def _table_1(store: WindowSource, folder: Path) -> Iterator[Block]:
    table = table_1(store)
    table.to_csv(folder / "tables" / f"paper_table1_{slug(store.title)}.csv", index=False)
    yield Heading(f"Table 1: {corpus_name(store.title)} in the store", 3)
    yield Table(
        ("Attribute", "Found in the store", "The paper's Table 1 and section 4.1"),
        table.to_numpy().tolist(),
        f"{corpus_name(store.title)}, the store `{store.path.name}`.",
        3,
    )
    yield Text(
        "How to read it: where the two columns differ, a result cannot be the paper's even if everything else is the "
        "same. Class counts are what a score must be compared with: always predicting the majority class reaches its "
        "share.", "note",
    )  # fmt: skip


def excluded(store: WindowSource) -> pd.DataFrame:
    """Return the recordings that a store lacks in whole or in part: a row each with status, reason and warnings."""
    r = store.recordings
    without = store.windows[~complete(store)].groupby("recording").size().rename("windows_left_out")
    table = r[["recording", "subject", "trial", "verdict", "reason", "findings"]].merge(
        without, "left", left_on="recording", right_index=True
    )
    table["windows_left_out"] = table["windows_left_out"].fillna(0).astype(int)
    missing = _missing_modalities(store)
    table["reason"] = [
        reason or missing.get(name, "") for name, reason in zip(table["recording"], r["reason"], strict=True)
    ]
    reported = (table["verdict"] != "ok") | (table["findings"] != "") | (table["windows_left_out"] > 0)
    return table[reported].reset_index(drop=True)


def _missing_modalities(store: WindowSource) -> dict[str, str]:
    """recording -> the modality that none, or not all, of its windows have."""
    reasons: dict[str, str] = {}
    for name, of_recording in store.windows.groupby("recording"):
        parts = []
        for column, part, word in (("has_face", "faces", "face"), ("has_signals", "signals", "signals")):
            missing = int((~of_recording[column]).sum()) if store.settings["prepare"][part] else 0
            if missing:
                in_all = missing == len(of_recording)
                parts.append(f"no {word}" + ("" if in_all else f" in {missing} of {len(of_recording)} windows"))
        reasons[str(name)] = "; ".join(parts)
    return reasons


def _left_out(store: WindowSource, folder: Path) -> Iterator[Block]:
    table = excluded(store)
    table.to_csv(folder / "tables" / f"paper_excluded_{slug(store.title)}.csv", index=False)
    if table.empty:
        yield Text(f"{corpus_name(store.title)}: no recording was excluded, and none has a warning.")
        return
    bad, lacking = int((table["verdict"] != "ok").sum()), table[(table["verdict"] == "ok") & (table["reason"] != "")]
    kept = table[(table["verdict"] == "ok") & (table["reason"] == "")]
    whole = [w for w in lacking["reason"] if " in " not in w]
    counts = [f"{n:,} recordings have {why}" for why, n in pd.Series(whole, dtype=str).value_counts().items()]
    yield Text(
        f"{corpus_name(store.title)}, excluded: {bad:,} recordings could not be prepared; {len(lacking):,} lack a "
        f"modality in some or all windows{' (' + '; '.join(counts) + ')' if counts else ''}; {len(kept):,} were kept "
        "with a warning."
    )
    rows = pd.concat([table[table["verdict"] != "ok"], lacking[lacking["reason"].str.contains(" in ")], kept])
    if rows.empty:
        return
    alike = [group for _, group in rows.groupby(["verdict", "reason", "findings"], sort=False)]
    yield Table(
        ("Recordings", "Status", "Reason", "Warnings", "Windows left out"),
        [_excluded_row(group) for group in alike[:MOST_ROWS]],
        f"Excluded recordings{_first(len(alike))}. Each recording: tables/paper_excluded_{slug(store.title)}.csv.",
        4,
    )


def _excluded_row(alike: pd.DataFrame) -> list[str]:
    """One row for recordings with the same status, reason and warnings."""
    names, first = alike["recording"].tolist(), alike.iloc[0]
    reason, warnings = first["reason"] or NONE, first["findings"] or NONE
    return [shortened(names, 3), first["verdict"], reason, warnings, f"{alike['windows_left_out'].sum():,}"]


def _first(n: int) -> str:
    return f": the first {MOST_ROWS} of {n:,}" if n > MOST_ROWS else ""


# ---------------------------------------------------------------- Table 2: the montage


def table_2(store: WindowSource) -> pd.DataFrame:
    """Return the store's channels in order beside the paper's Table 2. Columns: number, channel, kind, paper, same."""
    channels = store.settings["channels"]
    paper = [*PAPER_MONTAGE, *[""] * len(channels)][: max(len(channels), len(PAPER_MONTAGE))]
    rows = []
    for number, expected in enumerate(paper, 1):
        name, kind = channels[number - 1] if number <= len(channels) else ("", "")
        same = name == expected if expected else None
        rows.append({"number": number, "channel": name, "kind": kind, "paper": expected, "same": same})
    return pd.DataFrame(rows)


def _table_2(store: WindowSource, folder: Path) -> Iterator[Block]:
    if not store.settings["channels"]:
        return
    table = table_2(store)
    name = slug(store.title)
    table.to_csv(folder / "tables" / f"paper_table2_{name}.csv", index=False)
    yield Heading(f"Table 2: the channels of {corpus_name(store.title)}", 3)
    eeg = [name for name, kind in store.settings["channels"] if kind == "eeg"]
    others = [f"{name} ({kind})" for name, kind in store.settings["channels"] if kind != "eeg"]
    yield Text(_compare_montage(eeg))
    yield Text(f"Peripheral channels, which the paper does not name: {', '.join(others) if others else 'none'}.")
    if _places(eeg):
        stamps = [SYNTHETIC] if store.synthetic else []
        yield write_picture(
            head_map(eeg, corpus_name(store.title), stamps), folder, f"paper_table2_{name}",
            f"Positions of the EEG channels of {corpus_name(store.title)} on the head",
            "How to read it: the head from above, nose up; the number is the channel's place in the store. Filled dots "
            "have the place that the paper's Table 2 gives them; a ring has another place, or is not in that table.",
        )  # fmt: skip
    yield Text(f"Number by number: tables/paper_table2_{name}.csv.", "note")


def _compare_montage(eeg: list[str]) -> str:
    if eeg == list(PAPER_MONTAGE):
        return f"All {len(eeg)} EEG channels have the names and the order of the paper's Table 2."
    absent, extra = [n for n in PAPER_MONTAGE if n not in eeg], [n for n in eeg if n not in PAPER_MONTAGE]
    parts = [f"{len(eeg)} EEG channels, of which {len(eeg) - len(extra)} are in the paper's Table 2"]
    parts += [f"not in it: {', '.join(extra)}"] if extra else []
    parts += [f"of that table the store lacks {', '.join(absent)}"] if absent else ["the order differs"]
    return "; ".join(parts) + "."


def _places(names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Positions of electrodes seen from above: nose up, the vertex at 0, the ears at 1. Without unknown names."""
    import mne

    places = mne.channels.make_standard_montage("biosemi64").get_positions()["ch_pos"]  # on a sphere about the centre
    positions = {}
    for name in names:
        if name in places:
            x, y, z = places[name] / np.linalg.norm(places[name])
            down = np.arccos(z) / (np.pi / 2)  # 0 at the vertex, 1 at the ears' height
            positions[name] = (float(x / max(np.hypot(x, y), 1e-9) * down), float(y / max(np.hypot(x, y), 1e-9) * down))
    return positions


@styled
def head_map(eeg: Sequence[str], title: str, stamps: Sequence[str]) -> Figure:
    """Draw names and numbers of the EEG channels on a head seen from above."""
    figure = empty_figure(4.6, 4.6, f"EEG channels of {without_stamp(title)}", stamps)
    axes: Axes = figure.subplots()
    axes.add_patch(Circle((0, 0), 1.24, fill=False, color=SOFT, linewidth=1.2))
    axes.plot([-0.14, 0, 0.14], [1.23, 1.38, 1.23], color=SOFT, linewidth=1.2)  # the nose
    paper = {name: number for number, name in enumerate(PAPER_MONTAGE, 1)}
    for name, (x, y) in _places(eeg).items():
        number = list(eeg).index(name) + 1
        as_published = paper.get(name) == number
        axes.plot(x, y, marker="o", markersize=7, color=RIGHT if as_published else "white",
                  markeredgecolor=RIGHT if as_published else WARN, markeredgewidth=1.4)  # fmt: skip
        axes.text(x, y - 0.055, f"{number} {name}", ha="center", va="top", fontsize=7.5, color=INK)
    unknown = [name for name in eeg if name not in _places(eeg)]
    if unknown:
        axes.text(0, -1.38, f"no place known: {', '.join(unknown)}", ha="center", fontsize=7.5, color=SOFT)
    axes.set(xlim=(-1.4, 1.4), ylim=(-1.45, 1.42), aspect="equal")
    axes.axis("off")
    return figure
