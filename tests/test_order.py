"""The order of the packages: a file imports from its own package and from packages of lines above. No cycles."""

import ast

import pytest

import gbvnet

from .package_imports import LINE, NAMED, PACKAGE, module_imports, modules, part


@pytest.mark.journey
def test_every_package_has_its_line():
    assert {name.split(".")[0] for name in module_imports()} - NAMED == set(LINE)


@pytest.mark.journey
def test_a_package_imports_only_from_lines_above():
    wrong = [
        f"{name} imports {other}"
        for name, others in module_imports().items()
        for other in others
        if (a := name.split(".")[0]) not in NAMED and LINE[b := other.split(".")[0]] >= LINE[a] and a != b
    ]
    assert wrong == []


@pytest.mark.journey
def test_no_files_import_each_other_in_a_ring():
    rings, done = [], set()

    def follow(name: str, path: tuple[str, ...]):
        if name in path:
            rings.append(" -> ".join([*path[path.index(name) :], name]))
        elif name not in done:
            for other in module_imports()[name]:
                if not name.startswith(other + "."):  # the package that a file is in
                    follow(other, (*path, name))
            done.add(name)

    for name in module_imports():
        follow(name, ())
    assert rings == []


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ("datasets.formats", "datasets.synthetic"),
        ("systems.features", "systems.learners"),
        ("inference.streaming", "inference.app"),
    ],
)
def test_parts_of_a_package_keep_their_order(low, high):
    assert [
        f"{a} imports {b}" for a, others in module_imports().items() for b in others if part(a, low) and part(b, high)
    ] == []


def test_a_system_imports_no_other():
    systems = {n for n, f in modules() if n.startswith("systems.") and n.count(".") == 1 and f.name != "__init__.py"}
    assert [(a, b) for a in systems for b in module_imports()[a] if b in systems] == []


def test_reports_need_no_torch():
    assert [n for n, f in modules() if n.startswith("report.") and "import torch" in f.read_text()] == []


def test_each_public_name_loads_and_none_is_also_a_files_name():
    files = {name for name, _ in modules()}
    for name in gbvnet.__all__:
        assert getattr(gbvnet, name) is not None
        assert name not in files
    assert set(dir(gbvnet)) == set(gbvnet.__all__)


def test_type_checkers_find_each_public_name_where_it_is():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    homes = {name.name: node.module for node in block.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert homes == gbvnet._HOME


def test_the_readme_names_every_package():
    readme = (PACKAGE.parent / "README.md").read_text()
    packages = {n for n, f in modules() if f.name == "__init__.py"}
    assert [p for p in sorted(packages) if f"{p.split('.')[-1]}/" not in readme] == []
