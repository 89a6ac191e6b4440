"""Every block of code in README.md and docs/: commands are parsed, Python is run, YAML is read, or it says why not."""

import ast
import json
import re
import tomllib
from argparse import ArgumentError
from pathlib import Path

import pytest
import yaml

from gbvnet.config import CrossvalConfig
from gbvnet.datasets import bids_mapping, table_schema, xdf_settings
from gbvnet.errors import GbvnetError
from gbvnet.experiments.search_space import read_space

from . import command_lines
from .code_blocks import ROOT, all_blocks, blocks_of
from .small_study import write_study

BLOCKS = all_blocks()
LANGUAGES = {"bash", "python", "yaml", "toml", "json", "text"}


def of_language(*languages):
    blocks = [block for block in BLOCKS if block.language in languages and not block.reason]
    return pytest.mark.parametrize("block", blocks, ids=[block.where for block in blocks])


def test_every_block_has_a_language_that_is_checked():
    unknown = [f"{block.where}: {block.language or 'none'}" for block in BLOCKS if block.language not in LANGUAGES]
    assert unknown == [], f"give one of {sorted(LANGUAGES)}; text is for outputs and trees of files"
    assert len(BLOCKS) > 60


def test_a_block_that_is_not_run_says_why_in_words():
    assert [block.where for block in BLOCKS if block.reason and len(block.reason.split()) < 2] == []


def test_an_output_or_a_tree_of_files_begins_with_no_command():
    assert [b.where for b in BLOCKS if b.language == "text" and b.text.startswith(("gbvnet -", "$ ", "make "))] == []


# --- commands ---


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder beside the examples, where a page's commands are given."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.journey
@of_language("bash")
def test_commands_are_taken_by_their_own_parsers(block, folder):
    for words in command_lines.commands(block.text):
        if "--config" in words:  # a file that the page shows
            shown = next(b.text for b in BLOCKS if b.page == block.page and b.language == "yaml")
            (folder / words[words.index("--config") + 1]).write_text(shown)
        try:
            command_lines.check(words)
        except (ArgumentError, GbvnetError, SystemExit) as error:
            pytest.fail(f"{block.where}: {' '.join(words)}\n{error}")


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("gbvnet crossval deap.store runs/a --protocoll trial", "protocoll"),
        ("gbvnet crossval deap.store runs/a --protocol trails", "trails"),
        ("gbvnet crossval deap.store runs/a --folds 1", "folds must be at least 2"),
        ("gbvnet compare deap.store c --systems gbvnet,zhuu", "zhuu"),
        ("gbvnet crosval deap.store runs/a", "no command crosval"),
        ("make tests", "no target tests"),
        ("pip install '.[apps]'", "no extra {'apps'}"),
        ("python -m benchmarks.no_such", "no module benchmarks.no_such"),
        ("OMP_NUM_THREADS=1 gbvnet checks deap x && true", "no command checks"),
        ("gbvnetcheck deap", "no program gbvnetcheck"),
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line, error):
    words = next(command_lines.commands(line))
    with pytest.raises((ArgumentError, GbvnetError, AssertionError), match=error):
        command_lines.check(words)


def test_comments_and_lines_that_go_on_are_read_as_a_shell_does():
    text = "# first\ngbvnet check deap /data   # a note; and 'one quote\ngbvnet a \\\n    --b 'c d' && make test\n"
    with pytest.raises(ValueError, match="No closing quotation"):
        list(command_lines.commands("gbvnet 'a"))
    assert list(command_lines.commands(text)) == [
        ["gbvnet", "check", "deap", "/data"],
        ["gbvnet", "a", "--b", "c d"],
        ["make", "test"],
    ]


# --- Python ---


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """deap.store, model, video.mp4 and eeg.bdf."""
    folder = tmp_path_factory.mktemp("study")
    write_study(folder)
    return folder


@pytest.mark.journey
@of_language("python")
def test_python_runs(block, study, monkeypatch):
    monkeypatch.chdir(study)
    names = {"__name__": "page"}
    for text, place in ((block.setup, "setup"), (block.text, block.where)):
        exec(compile("\n" * block.line + text, place, "exec"), names)


@pytest.mark.journey
def test_what_the_readme_says_of_shapes_is_so(study):
    import gbvnet

    arrays = gbvnet.open_store(study / "deap.store").read([0, 1, 2])
    shown = next(b for b in BLOCKS if b.page == "README.md" and b.language == "python").text
    assert ", ".join(f"{array.shape} {array.dtype}" for array in arrays) in shown


# --- settings ---


def read_search_space(file):
    config = CrossvalConfig(system="yuvaraj-like", modality="eeg") if "options." in file.read_text() else None
    return read_space(file, config or CrossvalConfig())


READERS = {
    "docs/corpora.md": table_schema.read_settings,
    "docs/corpora/bids.md": bids_mapping.read_mapping,
    "docs/corpora/xdf.md": xdf_settings.read_settings,
    "docs/tuning.md": read_search_space,
}


@of_language("yaml")
def test_yaml_is_read_by_the_packages_own_reader(block, tmp_path):
    file = tmp_path / "settings.yaml"
    file.write_text(block.text, encoding="utf-8")
    held = yaml.safe_load(block.text)
    assert isinstance(held, dict)
    if block.page in READERS:
        READERS[block.page](file)
    elif set(held) <= command_lines.field_names(CrossvalConfig):
        command_lines.check(["gbvnet", "crossval", "deap.store", "runs/a", "--config", str(file)])


@of_language("toml", "json")
def test_data_is_read(block):
    assert (tomllib.loads if block.language == "toml" else json.loads)(block.text)


# --- how blocks are recognised ---

PAGE = """\
Text with ```a fence inside``` a line.

```bash
make test
```

<!-- not run: needs a camera -->
```python
camera()
```

- an item
  ````text
  ```
  inside
  ```
  ````

<!-- setup:
x = 1
-->
```python
x + 1
```

<!-- a comment of another kind -->

```{toctree}
a
```
"""


def test_blocks_are_recognised_with_their_comments():
    blocks = list(blocks_of(PAGE, "page.md"))
    assert [(b.language, b.line, b.reason, b.setup) for b in blocks] == [
        ("bash", 3, "", ""),
        ("python", 8, "needs a camera", ""),
        ("text", 13, "", ""),
        ("python", 22, "", "x = 1"),
        ("{toctree}", 28, "", ""),
    ]
    assert blocks[2].text == "```\ninside\n```\n"


def test_examples_of_the_gallery_have_a_title_blocks_and_a_number_of_their_own():
    files = sorted((ROOT / "examples" / "gallery").glob("*.py"))
    for file in files:
        assert re.fullmatch(r"\d\d_[a-z0-9_]+\.py", file.name), (
            f"{file.name}: name it NN_name.py, or it is not executed"
        )
        source = file.read_text(encoding="utf-8")
        title, line, empty, *_ = (ast.get_docstring(ast.parse(source)) or "\n\n").splitlines()
        assert set(line) == {"="} and len(line) >= len(title) and not empty, f"{file.name}: underline the title with ="
        assert "\n# %%\n" in source, f"{file.name}: divide it into blocks with # %%"
    assert files and len({file.name[:2] for file in files}) == len(files)


@pytest.mark.journey
def test_examples_say_how_they_are_called_and_these_commands_exist(folder):
    for file in sorted((ROOT / "examples").glob("*.py")):
        lines = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()
        for line in (line for line in lines if line.startswith("gbvnet ")):
            for words in command_lines.commands(line):
                command_lines.check(words)
    assert Path("examples").is_dir()
