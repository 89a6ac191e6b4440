"""The report's section on what a system uses: RUN/explain as `gbvnet explain` wrote it, and the gates of any run."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import BadRun, GbvnetError
from ..evaluation import predictions
from ..io.safe_load import from_json
from ..text import listed, sentence
from . import explanation_figures as maps
from .document import Block, Items, Text
from .explanation_outputs import BINARY, ExplainedOutput, recorded_output
from .figures import has_gates, write_picture
from .gate_section import gate_blocks
from .results import Result
from .task_words import words_of

FOLDER, ABOUT, FORMAT = "explain", "explain.json", 1
CHANNELS, SALIENCY, ROBUSTNESS, FACE = "channels.csv", "saliency.csv", "robustness.csv", "face.png"
FEATURES = "face_features.csv"
GATES, CONTROLS = "gates.csv", "gate_controls.csv"
TEXT = ("dataset", "protocol", "target", "channel", "kind", "rated", "class", "modality", "how", "subject", "noisy",
        "gate", "control")  # fmt: skip
MAX_PATCHES = 64  # across a face; ExplainConfig.grid is no more
_AGAIN = "Delete the folder and run `gbvnet explain` again."


@dataclass(frozen=True)
class Explanation:
    """RUN/explain, read. A table or picture that does not apply to the run's modality is None."""

    windows: dict[str, tuple[int, int]]  # fold -> windows explained, windows tested
    outputs: dict[str, ExplainedOutput]  # by target; empty for task binary
    notes: dict[str, list[str]]  # target -> what is undefined for want of labels, in words
    channels: pd.DataFrame | None
    saliency: pd.DataFrame | None
    face: np.ndarray | None  # (S, S, 3) uint8
    robustness: pd.DataFrame | None
    features: pd.DataFrame | None = None  # of groups of face features, in the columns of `channels`
    black: bool = False  # whether patches of the face were covered with black
    gates: pd.DataFrame | None = None  # how they vary
    controls: pd.DataFrame | None = None  # scores with other gates

    def output(self, target: str) -> ExplainedOutput:
        """Return what the models of a target give out."""
        return self.outputs.get(target, BINARY)


def read_explanation(run_dir: Path) -> Explanation | None:
    """Read what `gbvnet explain` wrote for a run; None if it was not run.

    Raises BadRun if it is unfinished, damaged, or of other predictions than the run now has.
    """
    folder = run_dir / FOLDER
    if not (folder / ABOUT).exists():
        return None
    try:
        about = from_json((folder / ABOUT).read_text())
        files, digest, form = list(about["files"]), str(about["predictions"]), about["format"]
        windows = {str(fold): (int(used), int(of)) for fold, (used, of) in about["windows"].items()}
        outputs = {str(name): recorded_output(about["task"], each) for name, each in about.get("targets", {}).items()}
        black = about.get("settings", {}).get("cover") == "black"
        notes = {str(name): [*map(str, each)] for name, each in about.get("notes", {}).items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadRun(folder / ABOUT, "what an explanation was made with", f"a damaged file ({error})", _AGAIN) from None
    if form != FORMAT:
        raise BadRun(folder / ABOUT, f"format {FORMAT}", f"format {form}", _AGAIN)
    if digest != hashlib.sha256((run_dir / predictions.FILE).read_bytes()).hexdigest():
        raise BadRun(folder, "an explanation of this run's predictions", "one of others, before they changed", _AGAIN)
    absent = [name for name in files if not (folder / name).exists()]
    if absent:
        raise BadRun(folder, ", ".join(files), f"no {', '.join(absent)}", "Run `gbvnet explain` again: it goes on.")
    columns = columns_of(next(iter(outputs.values()), BINARY))
    tables = {name: _read_table(folder / name, columns[name]) for name in files if name in columns}
    for name, table in tables.items():
        if outputs and (unknown := set(table["target"]) - set(outputs)):
            raise BadRun(folder / name, f"the targets {listed(list(outputs))}", listed(set(map(str, unknown))), _AGAIN)
    face = _read_face(folder / FACE) if FACE in files else None
    return Explanation(
        windows, outputs, notes, tables.get(CHANNELS), tables.get(SALIENCY), face, tables.get(ROBUSTNESS),
        tables.get(FEATURES), black, tables.get(GATES), tables.get(CONTROLS),
    )  # fmt: skip


def columns_of(output: ExplainedOutput) -> dict[str, tuple[str, ...]]:
    """Return the columns of each table that a report needs."""
    losses = [output.loss_of(score) for score in output.scores]
    importance = ("target", "fold", "channel", "kind", "windows", *losses, output.change)
    return {
        CHANNELS: importance,
        FEATURES: importance,
        SALIENCY: ("target", output.group, "row", "column", "windows", output.patch_loss, output.patch_change),
        ROBUSTNESS: ("target", "fold", "modality", "how", "noise", "windows", *output.scores, "gate_face", "gate_bio"),
        GATES: ("target", "fold", "subject", "noisy", "noise", "gate", "windows", "mean", "sd", "low", "high",
                "feature_sd", "entropy"),
        CONTROLS: ("target", "fold", "control", "subject", "windows", *output.scores),
    }  # fmt: skip


def _read_table(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """A channel may be called NA; only an empty field is missing."""
    try:
        table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype=dict.fromkeys(TEXT, str))
    except (OSError, ValueError) as error:
        raise BadRun(path, "a table", f"one that does not read ({error})", _AGAIN) from None
    absent = [name for name in columns if name not in table]
    if absent:
        raise BadRun(path, f"the columns {', '.join(columns)}", f"no {', '.join(absent)}", _AGAIN)
    if table.empty:
        raise BadRun(path, "a row for each question", "none", _AGAIN)
    words = [name for name in columns if name not in TEXT and not pd.api.types.is_numeric_dtype(table[name])]
    if words:
        raise BadRun(path, f"numbers in {words[0]}", "something else", _AGAIN)
    if path.name == SALIENCY and not table[["row", "column"]].isin(range(MAX_PATCHES)).all(axis=None):
        raise BadRun(path, "the place of each patch", "rows without one", _AGAIN)
    return table


def _read_face(path: Path) -> np.ndarray:
    from matplotlib.image import imread

    try:
        face = imread(path)
    except (OSError, ValueError, SyntaxError) as error:  # what PIL raises on a damaged PNG
        raise BadRun(path, "a picture", f"a file that does not open ({error})", _AGAIN) from None
    return (255 * face[..., :3]).round().astype(np.uint8)


# ---------------------------------------------------------------- blocks


def explanation_blocks(result: Result, name: str, folder: Path) -> Iterator[Block]:
    """Yield gates over time and by subject, and what RUN/explain holds on this result's target.

    name : what the pictures' names begin with; they are drawn into folder/figures.
    """
    title, stamps, headline = result.title, result.scores.stamps, words_of(result.scores).headline
    if has_gates(result.table):
        yield write_picture(
            maps.gate_over_time(result.table, title, stamps), folder, f"{name}_gates_time",
            f"Gates within the trial, {title}", maps.READ_GATE_TIME,
        )  # fmt: skip
        yield write_picture(
            maps.gate_by_subject(result.table, title, stamps), folder, f"{name}_gates_subjects",
            f"Gates of each subject, {title}", maps.READ_GATE_SUBJECTS.replace("accuracy", headline),
        )  # fmt: skip
    try:
        explanation = read_explanation(result.run.folder)
    except GbvnetError as error:
        yield Text(f"The explanation is not shown: {error}", "warning")
        return
    if explanation is not None:
        yield from _file_blocks(explanation, result, name, folder)


def _file_blocks(explanation: Explanation, result: Result, name: str, folder: Path) -> Iterator[Block]:
    title, stamps, target = result.title, result.scores.stamps, result.key("target")
    output = explanation.output(target)
    used, of = (sum(pair[k] for pair in explanation.windows.values()) for k in (0, 1))
    yield Text(f"Explanations are of each fold's own model, on {used:,} of the {of:,} windows that it was tested on.")
    if not result.scores.chance["window"].above:
        yield Text("This result is within chance: below is what models use that have learnt nothing.", "warning")
    if target in explanation.notes:
        yield Items([sentence(note) for note in explanation.notes[target]])
    channels, saliency, robustness, features, gates, controls = (
        None if table is None else table[table["target"] == target]
        for table in (
            explanation.channels, explanation.saliency, explanation.robustness, explanation.features,
            explanation.gates, explanation.controls,
        )
    )  # fmt: skip
    if channels is not None and len(channels):
        yield write_picture(
            maps.channel_map(channels, title, stamps, output), folder, f"{name}_channels", f"Channels, {title}",
            maps.READ_CHANNELS.format(words=output.words),
        )  # fmt: skip
    if features is not None and len(features):
        yield write_picture(
            maps.channel_map(features, title, stamps, output), folder, f"{name}_face_features",
            f"Features of the face, {title}", maps.read_features(output),
        )  # fmt: skip
    if saliency is not None and len(saliency) and explanation.face is not None:
        yield write_picture(
            maps.saliency_map(saliency, explanation.face, title, stamps, output), folder, f"{name}_saliency",
            f"Parts of the face, {title}", maps.read_saliency(saliency, output, explanation.black),
        )  # fmt: skip
    if robustness is not None and len(robustness):
        yield write_picture(
            maps.robustness_curves(robustness, title, stamps, output), folder, f"{name}_robustness", f"Noise, {title}",
            maps.READ_ROBUSTNESS.format(words=output.words),
        )  # fmt: skip
    yield from gate_blocks(gates, controls, output)
