"""What runs on other machines alone still agrees with this repository: workflows, hooks, and the paths in documents."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import gbvnet
from gbvnet.cli.main import command_parser

ROOT = Path(gbvnet.__file__).parents[1]
GITHUB = ROOT / ".github"
pytestmark = pytest.mark.skipif(not GITHUB.is_dir(), reason="the installed package has no workflows beside it")
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.M)) if GITHUB.is_dir() else set()
PROSE = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    "docs/architecture.md",
    "docs/versions.md",
)
PATH = re.compile(r"`((?:gbvnet|tests|docs|examples|benchmarks|recipes|\.github)/[\w./-]*|[\w-]+\.(?:txt|toml|cff))`")


def read(file: Path) -> dict[str, Any]:
    """A workflow; YAML 1.1 reads its key `on` as true."""
    held = yaml.safe_load(file.read_text())
    return {"on" if key is True else key: value for key, value in held.items()}


def steps(file: Path) -> list[dict[str, Any]]:
    return [step for job in read(file)["jobs"].values() for step in job.get("steps", [])]


def commands(file: Path) -> list[str]:
    return [line.strip() for step in steps(file) for line in step.get("run", "").splitlines()]


def supported() -> list[str]:
    """The minor versions of Python that pyproject.toml allows."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    low, high = (int(minor) for minor in re.fullmatch(r">=3\.(\d+),<3\.(\d+)", wanted).groups())
    return [f"3.{minor}" for minor in range(low, high)]


def test_there_is_a_workflow_for_each_promise():
    assert [file.stem for file in WORKFLOWS] == ["docs", "oldest", "release", "tests", "wheel"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_a_workflow_is_whole_and_may_only_read(file):
    workflow = read(file)
    assert workflow["name"] == file.stem and workflow["on"] and workflow["permissions"] == {"contents": "read"}
    assert file.read_text().startswith("# ") and "Run on GitHub only" in file.read_text()
    for name, job in workflow["jobs"].items():
        assert "uses" in job or job["steps"], name
        assert set([job["needs"]] if "needs" in job else []) <= set(workflow["jobs"])
        assert set(job.get("permissions", {})) <= {"id-token"}
        if "uses" in job:
            called = read(ROOT / job["uses"])
            assert "workflow_call" in called["on"]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_each_target_that_a_workflow_makes_is_in_the_makefile(file):
    made = [line.split()[1] for line in commands(file) if line.startswith("make ")]
    assert set(made) <= TARGETS
    assert made or file.stem == "release"


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_python_is_a_version_that_the_package_supports(file):
    for job in read(file)["jobs"].values():
        matrix = job.get("strategy", {}).get("matrix", {}).get("python")
        assert matrix in (None, supported())
        for step in job.get("steps", []):
            if "setup-python" in step.get("uses", ""):
                assert step["with"]["python-version"] in (*supported(), "${{ matrix.python }}")


def test_the_classifiers_are_the_versions_that_are_tested():
    lines = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    assert [line.rpartition(" ")[2] for line in lines if re.search(r":: 3\.\d+$", line)] == supported()
    (tests,) = (file for file in WORKFLOWS if file.stem == "tests")
    assert read(tests)["jobs"]["tests"]["strategy"]["matrix"]["python"] == supported()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_to_a_major_version(file):
    used = [step["uses"] for step in steps(file) if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", name) for name in used), used
    majors: dict[str, set[str]] = {}
    for other in WORKFLOWS:
        for step in steps(other):
            if "uses" in step:
                majors.setdefault(step["uses"].partition("@")[0], set()).add(step["uses"])
    assert [names for names in majors.values() if len(names) > 1] == []  # the same everywhere


@pytest.mark.journey
def test_each_command_of_the_wheels_workflow_is_one():
    (wheel,) = (file for file in WORKFLOWS if file.stem == "wheel")
    lines = [shlex.split(line)[1:] for line in commands(wheel) if line.startswith("empty/bin/gbvnet ")]
    assert ["--version"] in lines and len(lines) >= 4
    for name, *words in lines:
        if name != "--version":
            command_parser(name, words)[0].parse_args(words)


@pytest.mark.parametrize("file", sorted(GITHUB.glob("ISSUE_TEMPLATE/*.yml")), ids=lambda file: file.stem)
def test_an_issue_form_asks_for_something_and_has_each_id_once(file):
    form = yaml.safe_load(file.read_text())
    if file.stem == "config":
        return
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    ids = [field["id"] for field in fields]
    assert fields and len(set(ids)) == len(ids)
    assert all(field["attributes"]["label"] for field in fields)
    assert any(field.get("validations", {}).get("required") for field in fields)


def test_a_bug_report_asks_for_the_version():
    assert "gbvnet --version" in (GITHUB / "ISSUE_TEMPLATE" / "bug.yml").read_text()


def test_hooks_are_those_of_make_lint_and_make_types():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    entries = [hook["entry"].split()[0] for hook in hooks]
    makefile = (ROOT / "Makefile").read_text()
    for tool in ("ruff check", "ruff format --check", "mypy"):
        assert f"$(BIN)/{tool}" in makefile
        assert any(hook["entry"].startswith(f".venv/bin/{tool}") for hook in hooks)
    assert all(entry.startswith(".venv/bin/") for entry in entries)


@pytest.mark.parametrize("name", PROSE)
def test_paths_and_targets_that_a_document_names_exist(name):
    text = (ROOT / name).read_text()
    absent = [path for path in PATH.findall(text) if "NAME" not in path and not (ROOT / path).exists()]

    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    absent += [link for link in links if not (ROOT / name).parent.joinpath(link).exists()]
    absent += [f"make {target}" for target in re.findall(r"`make ([a-z-]+)", text) if target not in TARGETS]
    assert absent == []
