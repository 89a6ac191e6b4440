"""The report's section on results of other programs: their rank beside the runs, and what was taken from where."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from ..text import listed
from .comparison_section import ranking_blocks
from .document import Block, Heading, Table, Text
from .formatting import file_part, protocol_name, study_heading
from .outside_results import origins
from .results import Result, not_comparable

MIN_RANKED = 3  # results: of two, the test of the pair says all


def outside_notes(results: Sequence[Result]) -> Iterator[Block]:
    """Yield what must be read before any number: which results are of other programs, and warnings about them."""
    of_files = origins(results)
    if not of_files:
        return
    files = listed([f"`{name}`" for name in dict.fromkeys(origin.file for _, origin in of_files)])
    yield Text(
        f"Outside predictions, from {files}; not trained by gbvnet. Results of systems whose name ends in (outside) "
        "were scored from a file that another program wrote. Section “Outside predictions” says what was taken from "
        "where."
    )
    for warning in outside_warnings(results):
        yield Text(warning, "warning")


def outside_warnings(results: Sequence[Result]) -> list[str]:
    """Return the warnings about results of other programs, each once."""
    return list(dict.fromkeys(warning for _, origin in origins(results) for warning in origin.warnings))


def outside_blocks(results: Sequence[Result], folder: Path) -> Iterator[Block]:
    """Yield the section; nothing without results of other programs.

    folder : of the report; tables and pictures of ranks are written into it
    """
    of_files = origins(results)
    if not of_files:
        return
    yield Heading("Outside predictions")
    yield Text(
        "These results are of other programs. gbvnet did not train them, and knows only the file: whether features, "
        "scaling or the choice of a model used the tested windows cannot be seen in it. Scores, chance and tests are "
        "those of every other result. A protocol that a file states counts only if its folds keep it."
    )
    yield Table(
        ("System", "Target", "Protocol", "File", "Labels from", "Folds", "How the protocol was chosen",
         "Prior (for the baseline)", "SHA-256 of the file"),
        [
            [result.key("system"), result.key("target"), protocol_name(result), f"`{origin.file}`", origin.labels,
             origin.folds, origin.protocol, origin.prior, f"`{origin.sha256}`"]
            for result, origin in of_files
        ],
        "What was taken from where.", 9,
        frozenset(k for k, (result, _) in enumerate(of_files) if result.scores.leaky),
    )  # fmt: skip
    for number, ranked in enumerate(_ranked_groups(results), 1):
        yield Heading(f"Ranks: {study_heading(ranked[0])}, protocol {ranked[0].key('protocol')}", 3)
        name = f"outside-{number:02d}-{file_part(ranked[0].key('target'))}"
        yield from ranking_blocks([_as_labelled(result) for result in ranked], folder, name)


def _as_labelled(result: Result) -> Result:
    """A result whose modality has what tells it from others of its system: a seed, the name of its run."""
    modality = result.label.removeprefix(f"{result.key('system')} ")
    return replace(result, scores=replace(result.scores, keys=result.scores.keys | {"modality": modality}))


def _ranked_groups(results: Sequence[Result]) -> Iterator[list[Result]]:
    """Results that test the same rows, with one of another program among them; which leaks more is no question."""
    for _, group in groupby(results, key=lambda r: (*r.section, r.key("protocol"))):
        of_protocol = list(group)
        alike: list[list[Result]] = []
        for result in of_protocol:
            same = next((one for one in alike if not not_comparable(one[0], result)), None)
            if same is None:
                alike.append([result])
            else:
                same.append(result)
        for one in alike:
            if not one[0].scores.leaky and len(one) >= MIN_RANKED and origins(one):
                yield one
