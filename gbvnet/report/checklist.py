"""checklist.md of a report: what a paper on its results has to state, filled in as far as the runs know it.

A line with [x] is from the file that is named behind it. A line with [ ] is for the authors: what no run knows, or what
these runs do not say. docs/guides/writing_up.md explains each item.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .. import __version__
from ..provenance import LEAKY, SYNTHETIC
from ..text import shortened
from . import checklist_facts as facts
from .checklist_facts import CONFIG, ENVIRONMENT, MOST_RUNS, SPLITS, Line, Reported

FILE = "checklist.md"
TO_FILL_IN = "**TO FILL IN:**"


@dataclass(frozen=True)
class Item:
    """An item of the checklist: what is filled in, and what the authors are asked for."""

    title: str
    filled: Callable[[Reported], Iterator[Line]]
    to_fill: tuple[str, ...] = ()


def checklist(reported: Reported) -> str:
    """Return the checklist as Markdown. The same results give the same text."""
    results = reported.results
    runs = shortened(list(dict.fromkeys(f"`{r.run.name}`" for r in results)), MOST_RUNS)
    number = f"{len(results)} result{'s' * (len(results) > 1)}"
    blocks = [
        "# Checklist for a paper on these results",
        f"Filled in by gbvnet {__version__} from {number} ({runs}). [x] is from the file that is named in brackets: of "
        f"the run, of this report or of the audit. [ ] is for the authors. docs/guides/writing_up.md explains the "
        "items.",
    ]
    if any(r.synthetic for r in results):
        blocks.append(f"> **These results are from {SYNTHETIC}, and say nothing about real subjects.**")
    if any(r.scores.leaky for r in results):
        blocks.append(f"> **Some results are {LEAKY}. They measure no skill.**")
    for place, item in enumerate(ITEMS, 1):
        lines = [*item.filled(reported), *map(Line, item.to_fill)]
        blocks += [f"## {place}. {item.title}", "\n".join(map(_as_markdown, lines))]
    return "\n\n".join(blocks) + "\n"


def _as_markdown(line: Line) -> str:
    text = " ".join(line.text.split())  # names from files may hold line breaks
    return f"- [x] {text} ({line.file})" if line.file else f"- [ ] {TO_FILL_IN} {text}"


ITEMS = (
    Item(
        "Corpus and permission",
        facts.corpus_lines,
        (
            "release or DOI of the corpus, when it was obtained, and its licence or agreement",
            "who was recorded and how; the ethics approval and what the participants agreed to",
        ),
    ),
    Item(
        "Subjects, trials and windows",
        facts.counts_lines,
        ("subjects and recordings that are not in the store, and why (`gbvnet check` lists them)",),
    ),
    Item(
        "Inputs and preprocessing", facts.inputs_lines, ("what was done to films and signals before gbvnet read them",)
    ),
    Item(
        "Labels",
        facts.labels_lines,
        ("why this label and this rule, and whether both were fixed before any result was known",),
    ),
    Item(
        "Protocol",
        facts.protocol_lines,
        ("what is claimed in title and abstract: new trials, new stimuli or new subjects; it must be the protocol's",),
    ),
    Item("Leaks", facts.leaks_lines),
    Item(
        "Choice of settings and epochs",
        facts.choices_lines,
        ("where the given settings are from, how many were tried, and whether any test score was known then",),
    ),
    Item(
        "Scores and intervals",
        facts.scores_lines,
        ("which result and score is the main one, and when that was decided",),
    ),
    Item("Chance and baselines", facts.chance_lines),
    Item(
        "Comparisons",
        facts.comparisons_lines,
        ("every run that was made on these data, also those that are not shown here",),
    ),
    Item("Seeds", facts.seeds_lines),
    Item(
        "Published figures",
        lambda _: iter(()),
        (
            "of each published figure that is quoted: its protocol, classes, subjects and score; none is set beside a "
            "result of another protocol",
        ),
    ),
    Item("Software and hardware", facts.software_lines, ("changes that were made to the code",)),
    Item(
        "Files and availability",
        facts.files_lines,
        (
            f"where {CONFIG}, {SPLITS}, {ENVIRONMENT} and predictions.parquet are, or why they are not published (they "
            "hold names of subjects, labels and times)",
        ),
    ),
)
