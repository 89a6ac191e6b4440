"""`gbvnet --version`: what a report of a bug needs, at once and without loading what it names."""

import importlib.metadata
import re
import subprocess
import sys

import pytest

from gbvnet import __version__
from gbvnet.cli import version
from gbvnet.cli.main import main
from gbvnet.io.landmark_model import NAME

from ..oldest import read_project
from .test_cli import HEAVY


def shown(capsys) -> dict[str, str]:
    """The page as names and values."""
    assert main(["--version"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"gbvnet {__version__}"  # alone in its line, for scripts
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines)


@pytest.mark.journey
def test_versions_are_those_that_are_installed(capsys):
    rows = shown(capsys)
    for name in version.PACKAGES:
        assert rows[name] == importlib.metadata.version(name)
    assert rows["Python"].startswith(".".join(map(str, sys.version_info[:3])) + ", ")


@pytest.mark.journey
def test_nothing_that_it_names_is_loaded():
    code = (
        "import sys\nfrom gbvnet.cli.main import main\nmain(['--version'])\n"
        f"print('LOADED', [m for m in {(*HEAVY, 'numpy', 'gradio', 'ray', 'onnx')} if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "LOADED []"


def test_each_extra_is_listed_with_what_it_installs(monkeypatch):
    assert version.extras()["app"] == ["gradio"]  # as pip wrote the metadata of what is installed
    project = read_project()["optional-dependencies"]
    lines = [f'{line}; extra == "{extra}"' for extra, wanted in project.items() for line in wanted]
    monkeypatch.setattr(importlib.metadata, "requires", lambda name: ["av>=14", 'x; python_version < "3.12"', *lines])
    names = {extra: [re.match(r"[\w.-]+", line)[0] for line in wanted] for extra, wanted in project.items()}
    assert version.extras() == names


def test_what_is_absent_is_named(capsys, monkeypatch, tmp_path):
    def without(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", without)
    monkeypatch.setenv("GBVNET_CACHE", str(tmp_path))
    rows = shown(capsys)
    assert rows["torch"] == version.ABSENT and rows["extra app"] == f"gradio {version.ABSENT}"
    assert rows["landmark model"] == f"none in {tmp_path}: run `gbvnet weights`"
    (tmp_path / NAME).write_bytes(b"another")
    assert shown(capsys)["landmark model"].startswith(f"not usable in {tmp_path}")


def test_a_folder_that_is_not_installed_has_no_extras_to_list(monkeypatch):
    def without(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "requires", without)
    assert version.extras() == {} and "extra" not in version.version_text()


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({}, "none listed by the system"),
        ({"nvidia/0000:01/information": "Model: \t\t NVIDIA H200\nIRQ: 1\n"}, "NVIDIA H200"),
        ({"nvidia/0/information": "", "amd/1/properties": "cpu_cores_count 0\nsimd_count 256\n"}, "NVIDIA, AMD"),
        ({"amd/0/properties": "cpu_cores_count 8\nsimd_count 0\n"}, "none listed by the system"),
    ],
)
def test_gpus_are_those_that_the_driver_lists(monkeypatch, tmp_path, files, text):
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(version, "_NVIDIA", tmp_path / "nvidia")
    monkeypatch.setattr(version, "_AMD", tmp_path / "amd")
    monkeypatch.setattr(version, "_WSL", tmp_path / "dxg")
    monkeypatch.setattr(sys, "platform", "linux")
    assert version._gpus() == text
