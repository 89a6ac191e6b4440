"""The lower bounds that tests run with are those of pyproject.toml, and every dependency has one."""

import re

import pytest

from .oldest import FILE, NEWER, ROOT, TOOLS, bounds, oldest, read_project

if not FILE.exists():
    pytest.skip("the installed package has no constraints beside it", allow_module_level=True)


def test_the_constraints_are_the_lower_bounds():
    assert FILE.read_text() == oldest(read_project()), "run `python -m tests.oldest` and commit what it writes"


def test_no_dependency_has_two_bounds():
    """Of the package, its extras and the tools that are also extras; but an extra of NEWER may need more."""
    project = read_project()
    own = bounds(project["dependencies"])
    held = {name: {bound} for name, bound in own.items()}
    for extra, requirements in project["optional-dependencies"].items():
        named = [line for line in requirements if re.search(r"[=>]=", line)]
        for name, bound in bounds(named).items():
            if extra not in NEWER or name not in own:
                held.setdefault(name, set()).add(bound)
    assert {name: of for name, of in held.items() if len(of) > 1} == {}


def test_the_versions_of_development_are_not_below_the_bounds():
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    pinned = dict(line.split("==") for line in lines if line)
    low = dict(line.split("==") for line in FILE.read_text().splitlines() if not line.startswith("#"))

    def numbers(version: str) -> list[int]:
        return [int(part) for part in re.findall(r"\d+", version)]

    assert [name for name in set(pinned) & set(low) if numbers(pinned[name]) < numbers(low[name])] == []


def test_the_extras_left_out_are_extras():
    assert {*NEWER, *TOOLS} - {"docs"} <= set(read_project()["optional-dependencies"])


@pytest.mark.parametrize("line", ["numpy", "numpy<3", "numpy @ file:numpy.whl"])
def test_a_dependency_without_a_lower_bound_is_refused(line):
    with pytest.raises(ValueError, match="expected a lower bound, found 'numpy"):
        bounds([line])


def test_bounds_are_read_with_extras_and_upper_limits():
    assert bounds(["a[b,c]>=1.2", "pandas>=2.2,<4", "mediapipe==1.2.2"]) == {
        "a": "1.2", "pandas": "2.2", "mediapipe": "1.2.2"
    }  # fmt: skip
