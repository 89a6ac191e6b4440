"""One report from run folders and files of predictions: report.html (self-contained), report.md, checklist.md (what a
paper has to state), tables, figures.

Every number comes from the runs' predictions tables; glossary.SOURCES names the function behind each column. Whatever
leaks or is synthetic says so in each table, figure and sentence that shows it; results that do not share their rows are
shown beside each other, and never compared.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from ..errors import BadInput, GbvnetError
from ..io.atomic import atomic_folder, atomic_write, remove_stale_temp_files
from ..provenance import LEAKY, SYNTHETIC
from . import glossary, summary
from .audit_results import Audit, is_audit, read_audit
from .audit_section import audit_blocks
from .checklist import FILE as CHECKLIST
from .checklist import checklist
from .checklist_facts import Reported
from .csv_tables import csv_tables
from .document import Block, Heading, Table, Terms, Text, render_html, render_markdown
from .figures import score_overview, write_picture
from .formatting import capital, study_name
from .outside_results import read_all_results
from .outside_section import outside_blocks, outside_notes, outside_warnings
from .published_section import published_blocks, subject_figure_blocks
from .results import Comparison, Result, compare, read_results
from .results_section import comparison_blocks, data_blocks, score_blocks
from .run_section import run_blocks
from .seed_folders import with_runs_of_seeds
from .seed_glossary import SEED_SOURCES, SEED_TERMS
from .seed_groups import average_seeds
from .seed_section import have_seeds, seed_blocks
from .settings_section import settings_blocks
from .task_words import words_of

CONTENTS = {"report.html", "report.md", CHECKLIST, "tables", "figures"}  # what a report folder holds, and nothing else
ExtraSections = Callable[[list[Result], Path], Iterator[Block]]  # from the results and the report's folder


@dataclass(frozen=True)
class Report:
    """A written report: where, what it says, its results, and which runs could not be used."""

    path: Path  # of report.html
    summary: str  # the results in sentences
    results: list[Result]
    errors: list[GbvnetError]

    @property
    def warnings(self) -> list[str]:
        """What must be known of files of predictions: a protocol that their folds do not keep."""
        return outside_warnings(self.results)


def write_report(
    runs: Sequence[Path | Audit],
    destination: Path,
    extra_sections: ExtraSections | None = None,
    summary_only: bool = False,
    highlight_systems: Sequence[str] = ("gbvnet",),
) -> Report:
    """Score runs and write a report folder, whole or not at all; an earlier report there is replaced.

    runs : run folders, groups of seeds, and audits (read, or their folders), whose results under each protocol are then
        among the runs; files of predictions of other programs (.csv, .tsv, .parquet: docs/outside.md), whose labels may
        be those of a run beside them. Results that differ by their seed alone are averaged
    extra_sections : further sections, shown before the results; draws its pictures into the folder it is given
    summary_only : for many runs: the sentences are about a few systems alone; without the pictures of each run, the
        paper's figures, and questions that were not fixed before
    highlight_systems : the systems that the sentences are about, with `summary_only`

    Runs that cannot be used are named in the report and in `errors`. Raises BadRun if none can be used, and BadInput
    if `destination` is a folder that holds something else.
    """
    destination = Path(destination).absolute()
    _check_destination(destination)
    folders = [run for run in runs if not isinstance(run, Audit)]
    audits = [run for run in runs if isinstance(run, Audit)] + [read_audit(f) for f in folders if is_audit(f)]
    audited = [result for audit in audits for result in audit.by_protocol.values()]
    run_folders = with_runs_of_seeds([folder for folder in folders if not is_audit(folder)])
    singles, errors = read_all_results(list(run_folders), audited)
    results, not_averaged = average_seeds(singles)
    comparisons, refused = compare(results, fixed_only=summary_only)
    headline = _headline_results(results, highlight_systems, fused_only=True) if summary_only else results
    text = summary.describe_results(headline, comparisons)
    shown = _headline_results(results, highlight_systems) if summary_only else results
    with _temporary_folder(destination) as part:
        for name, table in csv_tables(results, comparisons).items():
            table.to_csv(part / "tables" / f"{name}.csv", index=False)
        extra = [b for k, audit in enumerate(audits, 1) for b in audit_blocks(audit, part, f"audit{k}")]
        extra += extra_sections(results, part) if extra_sections else []
        blocks = [
            *_opening_blocks(results, errors),
            *_summary_blocks(text, results, shown, part),
            *extra,
            *_result_blocks(results, comparisons, refused, summary_only),
            *outside_blocks(results, part),
            *seed_blocks(results, not_averaged),
            *([_SUMMARY_ONLY_NOTE] if summary_only else _run_blocks(results, part)),
            *settings_blocks(list({r.run.folder: r.run for r in results if r.run.outside is None}.values())),
            *_glossary_blocks(results),
        ]
        atomic_write(part / "report.md", render_markdown(blocks).encode())
        atomic_write(part / "report.html", render_html(blocks, part).encode())
        atomic_write(part / CHECKLIST, checklist(Reported(results, comparisons, audits)).encode())
    return Report(destination / "report.html", text, results, errors)


def summary_text(runs: Sequence[Path], width: int = 100) -> str:
    """Return the results of run folders, or groups of seeds, as a table for a terminal; width in columns."""
    results, _ = average_seeds(read_results(list(with_runs_of_seeds(runs)))[0])
    return summary.terminal_table(results, width)


def _check_destination(destination: Path) -> None:
    if not destination.exists():
        return
    others = sorted(p.name for p in destination.iterdir() if p.name not in CONTENTS) if destination.is_dir() else []
    if others or not destination.is_dir():
        what = f"a folder with {', '.join(others[:3])} in it" if others else "a file"
        raise BadInput(destination, "a new folder or an earlier report", what, "Give another folder for the report.")


@contextmanager
def _temporary_folder(destination: Path) -> Iterator[Path]:
    """Give a temporary folder to write the report into, which replaces `destination` when it is complete."""
    remove_stale_temp_files(destination.parent, destination.name)
    with atomic_folder(destination) as temporary:
        for folder in ("tables", "figures"):
            (temporary / folder).mkdir()
        yield temporary


# --- the page ---

_SUMMARY_ONLY_NOTE = Text("For the pictures of single runs give them to `gbvnet report RUN ... REPORT`.")


def _opening_blocks(results: Sequence[Result], errors: Sequence[GbvnetError]) -> Iterator[Block]:
    """The title, and what must be read before any number."""
    yield Heading("Emotion recognition: results of cross-validation", 1)
    stamps = _stamps(results)
    if SYNTHETIC in stamps:
        which = "All results" if all(r.synthetic for r in results) else "Some results"
        yield Text(
            f"{which} below are from {SYNTHETIC}, written by `gbvnet synth`. They say nothing about real subjects.",
            "warning",
        )
    if LEAKY in stamps:
        yield Text(
            f"Rows and figures marked {LEAKY}. They are here to compare with papers, and measure no skill.", "warning"
        )
    yield from outside_notes(results)
    for error in errors:
        yield Text(f"Left out: {error}", "warning")


def _stamps(results: Sequence[Result]) -> list[str]:
    return [stamp for stamp in (LEAKY, SYNTHETIC) if any(stamp in r.scores.stamps for r in results)]


def _summary_blocks(text: str, results: Sequence[Result], shown: Sequence[Result], folder: Path) -> Iterator[Block]:
    """The results in sentences, and the headline scores of those `shown` as bars, a picture for each score."""
    yield Heading("Summary")
    for paragraph in text.split("\n\n"):
        yield Text(paragraph, "lead")
    for score in dict.fromkeys(r.scores.main for r in shown):
        of_score = [r for r in shown if r.scores.main == score]
        words = words_of(of_score[0].scores)
        entries = [(study_name(r), f"{r.key('protocol')} · {r.label}", r.scores) for r in of_score]
        if words.baseline_is_zero:
            passes = "the triangle (97.5 % of permutations); the line at 0 is always predicting the mean"
        else:
            passes = (
                "both the black mark (always predicting the majority class) and the triangle (97.5 % of permutations)"
            )
        yield write_picture(
            score_overview(entries, _stamps(of_score)), folder, "overview" + f"_{score}" * words.baseline_is_zero,
            f"{capital(words.headline)} of every result beside {words.baseline} and chance",
            f"How to read it: a bar says something only where it passes {passes}; hatched bars are LEAKY, and no "
            "comparison for the others.",
        )  # fmt: skip


def _result_blocks(
    results: Sequence[Result], comparisons: Sequence[Comparison], refused: Sequence[str], summary_only: bool
) -> Iterator[Block]:
    yield Heading("Results")
    for _, group in groupby(results, key=lambda r: r.section):
        yield from score_blocks(list(group))
    yield from comparison_blocks(comparisons, refused)
    if not summary_only:
        yield from published_blocks(results)
    yield from subject_figure_blocks(results)
    yield from data_blocks(results)


def _run_blocks(results: Sequence[Result], folder: Path) -> Iterator[Block]:
    yield Heading("Each run")
    if have_seeds(results):
        yield Text(
            "Of results over several seeds the run of the first seed is shown; give the run folder of another seed to "
            "`gbvnet report` for its pictures."
        )
    for place, result in enumerate(results, 1):
        yield from run_blocks(result.members[0] if result.members else result, f"{place:02d}", folder)


def _glossary_blocks(results: Sequence[Result]) -> Iterator[Block]:
    tasks = {r.scores.task for r in results}
    yield Heading("Glossary")
    yield Terms(glossary.terms_of(tasks) + (SEED_TERMS if have_seeds(results) else ()))
    sources = glossary.sources_of(tasks) | (SEED_SOURCES if have_seeds(results) else {})
    yield Table(
        ("Column", "Computed by, below gbvnet"), [list(pair) for pair in sources.items()],
        "The function that computes each number of the tables above.", text_columns=2,
    )  # fmt: skip


def _headline_results(results: Sequence[Result], systems: Sequence[str], fused_only: bool = False) -> Sequence[Result]:
    """The results of `systems` that a summary is about; all results, if there are none of these.

    Of GBV-Net those of face and signals together, and, unless `fused_only`, of each alone; of other systems all; over
    all subjects together, where there is such a result.
    """
    modalities = ("facebio",) if fused_only else ("facebio", "face", "bio")
    chosen = [
        r
        for r in results
        if r.key("system") in systems and (r.key("system") != "gbvnet" or r.key("modality") in modalities)
    ]
    return [r for r in chosen if r.key("scope") == "pooled"] or chosen or results
