"""What reads and reports data works where torch and lightning are not installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import gbvnet

from ..fake_runs import study

ROOT = Path(gbvnet.__file__).parents[1]


@pytest.fixture
def run(tmp_path):
    """Run a command in processes of its own, in which importing torch or lightning fails."""
    absent = tmp_path / "absent"
    absent.mkdir()
    for name in ("torch", "lightning"):
        (absent / f"{name}.py").write_text("raise ImportError('hidden by a test')\n")
    path = os.pathsep.join(map(str, (absent, ROOT)))

    def run(*words) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-m", "gbvnet", *map(str, words)], env=os.environ | {"PYTHONPATH": path},
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return run


@pytest.mark.journey
def test_check_and_prepare_need_no_torch(run, tmp_path):
    corpus, store = tmp_path / "corpus", tmp_path / "store"
    for words in (
        ("synth", "deap", corpus, "--subjects", 2, "--trials", 1, "--seconds", 2),
        ("check", "deap", corpus),
        ("prepare", "deap", corpus, store, "--jobs", 2),  # faces too: landmarks are MediaPipe's
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    assert "2 recordings prepared" in done.stdout
    refused = run("crossval", store, tmp_path / "run", "--system", "gbvnet")
    assert refused.returncode != 0 and "hidden by a test" in refused.stderr  # the import does fail there


@pytest.mark.journey
def test_a_report_needs_no_torch(run, tmp_path):
    done = run("report", *study(tmp_path / "runs", subjects=3, targets=("valence",))[:2], tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "report" / "report.html").exists()


@pytest.mark.journey
def test_what_predicts_cross_validates_and_reports_is_imported_without_lightning_and_scikit_learn():
    """The first takes longer to import than torch, the second nearly as long; each worker process would import them."""
    modules = ("inference.batch", "inference.app.server", "cli.live", "experiments.crossval", "systems.gbvnet",
               "report.report", "report.audit_results")  # fmt: skip
    code = "import sys; " + "".join(f"import gbvnet.{name}; " for name in modules)
    code += "print({'lightning', 'sklearn'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr
