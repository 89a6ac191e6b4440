"""What the site's pages are made with: docstrings, parsers and settings as reStructuredText, links, without Sphinx."""

import sys
from dataclasses import dataclass
from textwrap import dedent

import pytest

from gbvnet.cli.command import COMMANDS
from gbvnet.cli.main import command_parser
from gbvnet.config import TrainConfig

from .code_blocks import ROOT

sys.path.append(str(ROOT / "docs" / "extensions"))
import command_pages
import docstrings
import links
import pages_outside
import settings_page
import written_pages

# --- docstrings ---


def rst(text, **others):
    return "\n".join(docstrings.to_rst(dedent(text).strip().splitlines(), **others)).strip()


def test_lines_of_names_become_a_list_of_parameters():
    shown = rst(
        """
        Return the sum.

        x : (n,) volts. y, z : the others,
            in `siemens`
        Raises BadConfig for y_ of a|b.
        """,
        parameters=("x", "y", "z"),
        links={"BadConfig": "gbvnet.errors.BadConfig"},
    )
    assert (
        shown
        == dedent(r"""
        Return the sum.

        .. rst-class:: parameters

        ``x``
            (n,) volts.
        ``y``, ``z``
            the others,
            in ``siemens``

        Raises :py:exc:`BadConfig <gbvnet.errors.BadConfig>` for y\_ of a\|b.
        """).strip()
    )


def test_a_sentence_that_raises_is_a_paragraph_and_a_colon_in_prose_is_none():
    assert rst("Return it. Raises BadRun.") == "Return it.\n\nRaises BadRun."
    assert (
        rst("One thing: another.\nvalue : (n,)")
        == dedent("""
        One thing: another.

        .. rst-class:: parameters

        ``value``
            (n,)""").strip()
    )


def test_indented_lines_are_code_and_lists_and_examples_stay():
    shown = rst("""
        Two ways:

            fit(x, y)

        - one *thing*
        - `other`

        >>> 1 + 1
        2
        """)
    assert ".. code-block:: python\n\n        fit(x, y)" in shown
    assert "- one *thing*\n- ``other``" in shown
    assert ">>> 1 + 1\n2" in shown


def test_public_names_in_backticks_are_links_and_pages_too():
    assert docstrings.to_rst(["See `audit()`, `x`."], links={"audit": "gbvnet.audit"}) == [
        "See :py:obj:`audit() <gbvnet.audit>`, ``x``.",
        "",
    ]
    assert docstrings.inline_rst("see docs/corpora/bids.md") == "see :doc:`docs/corpora/bids.md </corpora/bids>`"


@dataclass
class Example:
    """Fields with comments."""

    width: int  # of a layer, pixels
    # Above it,
    # on two lines.
    name: str = "a"
    explained: float = 0.5
    """has a text below it"""
    _private: int = 0


def test_fields_have_the_comments_beside_or_above_them():
    assert docstrings.fields_of(Example) == [
        ("width", "int", "", "of a layer, pixels"),
        ("name", "str", "'a'", "Above it, on two lines."),
    ]
    assert "``width`` : ``int``\n    of a layer, pixels" in "\n".join(
        docstrings.fields_rst(docstrings.fields_of(Example), {})
    )


# --- commands and settings ---


def test_every_command_has_a_page():
    listed = [name for names in command_pages.SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.journey
@pytest.mark.parametrize("name", ["crossval", "predict", "model", "synth"])
def test_the_page_of_a_command_has_each_of_its_options_with_type_and_default(name):
    page, (parser, _) = command_pages.page_of_command(name), command_parser(name)
    for action in parser._actions:
        for option in action.option_strings:
            assert f"{option}" in page, option
    assert COMMANDS[name].example.splitlines()[0].partition("  ")[0] in page
    if name == "crossval":
        assert ".. option:: --train.epochs EPOCHS" in page and "whole number, default ``50``" in page
        assert "one of ``window``, ``trial``, ``stimulus``" in page
        assert "# the paper's, which leaks\n    gbvnet crossval /data/deap.store runs/window --protocol window" in page


@pytest.mark.journey
def test_the_page_of_systems_has_options_of_one_and_leaves_out_those_without():
    page = command_pages.page_of_systems()
    assert ".. program:: yuvaraj-like\n\n.. option:: --options.svm_windows" in page
    assert ".. program:: majority" not in page


@pytest.mark.journey
def test_the_page_of_settings_has_every_class_with_its_commands():
    page = settings_page.page()
    assert "Options ``--train.NAME`` of " in page and ".. autoclass:: gbvnet.CrossvalConfig" in page
    assert settings_page.commands_with(TrainConfig) == ["crossval", "tune", "compare", "audit", "transfer", "train"]


# --- links ---


def test_links_to_files_at_the_top_lead_to_pages():
    top = "[a](docs/faces.md#x) [b](CHANGELOG.md) [c](https://d.org/e) [f](#g) [h](examples/i.py) ![j](docs/k.png)"
    assert pages_outside.page_of_file(top) == (
        "[a](../faces.md#x) [b](changelog.md) [c](https://d.org/e) [f](#g) [h](../../examples/i.py) ![j](../k.png)"
    )
    page = "[a](../../README.md#speed) [b](../faces.md)"
    assert (
        pages_outside.with_links_to_pages(page, "corpora/deap") == "[a](../reference/readme.md#speed) [b](../faces.md)"
    )


def test_links_that_lead_nowhere_are_reported(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.html").write_text(
        '<h1 id="top-of-a">A</h1><a href="sub/b.html#there">1</a><a href="sub/b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="https://example.org/x">4</a><img src="no.png"><a href="#top-of-a">5</a><a href="#none">6</a>'
    )
    (tmp_path / "sub" / "b.html").write_text('<p id="there"><a href="../a.html">back</a></p>')
    assert list(links.broken_links(tmp_path)) == [
        "a.html: sub/b.html#gone leads to no anchor of that page",
        "a.html: c.html leads to no file",
        "a.html: no.png leads to no file",
        "a.html: #none leads to no anchor of that page",
    ]


def test_a_page_that_stays_the_same_is_not_touched_and_one_that_is_gone_is_deleted(tmp_path):
    written_pages.write_pages(tmp_path, {"a": "1", "b": "2"})
    before = (tmp_path / "a.rst").stat().st_mtime_ns
    (tmp_path / "other.txt").write_text("stays")
    written_pages.write_pages(tmp_path, {"a": "1"})
    assert (tmp_path / "a.rst").stat().st_mtime_ns == before
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a.rst", "other.txt"]
