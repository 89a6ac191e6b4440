"""Every example of the gallery runs as a script in an empty folder, draws what it says, and leaves nothing behind.

They run in this process: a process each would import torch twelve times. `make docs` runs the same scripts.
"""

import io
import os
import runpy
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
from matplotlib.text import Text

ROOT = Path(__file__).parents[1]
GALLERY = ROOT / "examples" / "gallery"
EXAMPLES = sorted(GALLERY.glob("*.py"))


def files_of_the_repository():
    """Time of change of each file beside which an example could write by mistake."""
    files = [f for folder in ("examples", "docs") for f in (ROOT / folder).rglob("*") if "__pycache__" not in f.parts]
    return {str(f): f.stat().st_mtime_ns for f in [*files, *ROOT.glob("[!.]*")] if f.is_file()}


@pytest.fixture
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Commands that an example starts are of this checkout, too.
    path = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
    backend = matplotlib.get_backend()
    plt.switch_backend("Agg")
    with matplotlib.rc_context():
        yield tmp_path
    plt.close("all")
    plt.switch_backend(backend)


def test_examples_are_numbered_without_gaps():
    assert [e.name[:3] for e in EXAMPLES] == [f"{n:02d}_" for n in range(1, len(EXAMPLES) + 1)]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_an_example_ends_with_how_its_figure_is_read(example):
    source = example.read_text()
    assert source.count("plt.show()") == 1
    assert source.index("plt.show()") < source.rindex("\n# %%\n"), "no text stands behind the figure"


@pytest.mark.journey
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: e.stem)
def test_an_example_runs_draws_a_stamped_figure_and_leaves_nothing_behind(example, in_an_empty_folder):
    before = files_of_the_repository()
    names = runpy.run_path(str(example), run_name="__main__")
    figures = [plt.figure(number) for number in plt.get_fignums()]
    assert len(figures) == 1
    for figure in figures:
        assert figure.axes and all(ax.has_data() for ax in figure.axes)
        figure.savefig(io.BytesIO(), dpi=50)  # a warning of the layout is an error here
        texts = " ".join(text.get_text() for text in figure.findobj(Text)).replace("\n", " ")
        assert "synthetic data" in texts
    assert list(in_an_empty_folder.iterdir()) == []
    assert files_of_the_repository() == before
    assert not any(Path(f.name).exists() for f in names.values() if hasattr(f, "cleanup"))
