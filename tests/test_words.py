"""The field's standard terms: words that once stood for them, or that only this project used, do not come back.

Each line is a word or a pattern, and what to write instead. Names (functions, classes, arguments, variables) and texts
(docstrings, comments, messages, help, pages, documents) are looked through alike.
"""

import builtins
import io
import re
import tokenize
from pathlib import Path

import pytest

import gbvnet

PACKAGE = Path(gbvnet.__file__).parent
ROOT = PACKAGE.parent
BUILT = ("docs/reference/", "docs/gallery/")  # made by `make docs` of files that are looked through themselves
# In texts and in names. A pattern is met as a whole word, in any case.
WORDS = {
    r"made[- ]up": "synthetic data",
    r"person|persons|people": "subject, subjects; participant",
    r"commoner class|commoner": "majority class",
    r"inner": "validation",
    r"rest": "baseline period; the others",
    r"taken off|take off|takes off|freed of": "subtracted, baseline-corrected",
    r"told|said|finding|findings|verdict|verdicts": "reported; message; warning; status",
    r"rival|rivals": "comparison method",
    r"stand-in|stand-ins|spoilt|want of memory": "missing-modality embedding; corrupted; out of memory",
    r"ours": "implementation choice",
    r"rung|rungs": "protocol",
    r"by heart": "overfits",
    r"so much is real|is shown to equal": "the accuracy and its p",
    r"lone|gist|tidy": "SingleRecording; headline results",
}
# In names alone, as the whole name or as a part between underscores or capitals.
NAMES = {
    r"found|problem|who|asked|learnt|worn|seen|rested|apart|deal|evenly|sweep|judge": "a noun that says what it is",
    r"write_whole|keep_back|make_unsplit|end_of_show|looked_at": "atomic_write, train_validation_split, ...",
}
# What is on disk and keeps its key, quotations, and the idiom of error messages.
ALLOWED = {
    "gbvnet/errors.py": {"found"},  # BadInput's part after "expected"
    "gbvnet/datasets/mahnob.py": {"found"},  # the same part of an error that is raised again
    "gbvnet/datasets/mahnob_continuous.py": {"found"},  # as well
    "gbvnet/datasets/table_schema.py": {"found"},  # as well
    "gbvnet/evaluation/split_check.py": {"person"},  # a column in files of other software
    "gbvnet/evaluation/splits.py": {"inner"},  # part of the seed: another word would give other folds
    "gbvnet/report/audit_results.py": {"person"},  # as gbvnet 0.1 wrote it
    "gbvnet/former_settings.py": {"rival", "inner", "people"},  # what files of earlier versions say
    "gbvnet/provenance.py": {"made-up", "made_up"},  # the former stamp, which is read
    "tests/fuzz/targets.py": {"inner", "findings", "person"},  # keys in seeds: files of gbvnet and of other software
    "tests/test_config.py": {"inner"},  # the former name of a setting, which is read
    "tests/test_recipes.py": {"people", "rival"},  # keys of recipes: `paper_people`, and a former one
    "recipes/folds/make.py": {"rest"},  # a text in the fixed folds, whose bytes do not change
    "docs/corpora/mahnob.md": {"people"},  # part of an address
    "tests/cli/test_cli.py": {"inner"},  # settings of former versions, as in the next lines
    "tests/experiments/test_run_group.py": {"made-up", "rival"},
    "tests/systems/test_options.py": {"rival"},
    "tests/experiments/test_audit.py": {"person"},  # as audit.json has it
    "tests/inference/app/test_server.py": {"inner"},  # a method of Playwright
    "tests/network/checkpoint/test_describe.py": {"made-up", "made_up"},  # a model of before
    "tests/network/checkpoint/test_hub.py": {"found"},  # classes of huggingface_hub
    "tests/experiments/reproduction/test_plan.py": {"people"},  # a key of recipes
}
# Names on disk: of former versions, or kept.
KEYS = {"people", "paper_people", "told", "person", "rival", "findings", "found", "made_up", "verdict", "inner"}

KEY = re.compile(rf"""["']({"|".join(KEYS)})["']""")
TEXT = re.compile(r"\b(" + "|".join(WORDS) + r")\b", re.IGNORECASE)
NAME = re.compile(r"(?:^|_)(" + "|".join([*WORDS, *NAMES]) + r")(?:$|_)", re.IGNORECASE)


def name_words(name: str) -> str:
    """`RivalConfig` as `_rival_config_`, so that parts of names are met whole."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def words_of_python(source: str):
    """Each forbidden word of a Python file with its line: in names, comments and strings."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NAME and token.string not in dir(builtins):
            yield from ((token.start[0], m[1]) for m in NAME.finditer(name_words(token.string)))
        elif token.type == tokenize.COMMENT or (token.type == tokenize.STRING and not KEY.fullmatch(token.string)):
            yield from words_of_text(token.string, token.start[0])


def words_of_text(text: str, first: int = 1):
    """Each forbidden word of a text with its line."""
    for number, line in enumerate(text.splitlines(), first):
        yield from ((number, m[1]) for m in TEXT.finditer(line))


def sources() -> list[str]:
    files = [f for d in ("gbvnet", "tests", "benchmarks", "docs", "recipes", "examples") for f in (ROOT / d).rglob("*")]
    kinds = {".py", ".md", ".yaml", ".css", ".html", ".j2", ".js", ".sh"}
    names = [f.relative_to(ROOT).as_posix() for f in files if f.suffix in kinds and "results" not in f.parts]
    names = [name for name in names if not name.startswith(BUILT)]
    others = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "CITATION.cff", "Makefile")
    return sorted([*names, *others])


def forbidden(name: str) -> list[str]:
    text = (ROOT / name).read_text(encoding="utf-8")
    allowed = ALLOWED.get(name, set())
    words = words_of_python(text) if name.endswith(".py") else words_of_text(text)
    return [f"{name}:{line}: {word}" for line, word in words if word.lower() not in allowed]


@pytest.mark.journey
@pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="the installed package has no documents beside it")
def test_no_source_uses_a_word_of_the_list():
    names = [n for n in sources() if n != "tests/test_words.py"]
    assert [hit for name in names for hit in forbidden(name)] == []


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(told):\n    return told.x  # the rest\n", ["told", "told", "rest"]),
        ("class RivalConfig:\n    pass\n", ["rival"]),
        ('x = d["findings"]\n', []),
        ('raise ValueError(f"two {x} findings")\n', ["findings"]),
        ("interest = restore(foundation)\n", []),
    ],
)
def test_words_are_met_in_names_comments_and_texts_and_only_whole(source, words):
    assert [word for _, word in words_of_python(source)] == words
