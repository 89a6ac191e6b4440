"""The source archive and the wheel built from it: what is in them, and a model where nothing but the wheel is."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from gbvnet import __version__
from gbvnet.inference.predict import predict_files

from .app_fixtures import write_csv, write_model

ROOT = Path(__file__).parents[1]
# What is in the source archive, besides what setuptools writes; nothing else is needed to build it.
NEEDED = ("gbvnet", "recipes", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "CITATION.cff", "MANIFEST.in")
# What may lie about in a working copy, some of it with keys or faces in it; and what such things look like.
STRAY = (
    "gbvnet/.env", "gbvnet/id_rsa", "gbvnet/key.pem", "gbvnet/notes.txt", "gbvnet/s01.dat", "gbvnet/model.safetensors",
    "gbvnet/last.ckpt", "gbvnet/model.pt", "gbvnet/face_landmarker.task", "gbvnet/cache.pickle", "gbvnet/a.parquet",
    "gbvnet/datasets/s01_trial01.avi", "gbvnet/systems/.netrc", "recipes/.env", "recipes/deap.csv", "recipes/key.pem",
    "recipes/folds/.env", "recipes/folds/make.log",
)  # fmt: skip
SECRETS = re.compile(
    rb"-----BEGIN [A-Z ]*PRIVATE KEY|\bhf_[A-Za-z0-9]{20,}|\bghp_[A-Za-z0-9]{20,}|\bAKIA[0-9A-Z]{16}\b"
    rb"|/home/[a-z]|/Users/[A-Za-z]|[A-Z]:\\Users"
)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    """The source archive, built from a copy, so that a build folder that is there already has no part in it."""
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, source / name)
    (source / "tests").mkdir()
    for name in (*STRAY, "tests/test_stray.py", "notes.md"):
        (source / name).write_text("stray")
    made = tmp_path_factory.mktemp("sdist")
    code = f"from setuptools.build_meta import build_sdist; build_sdist({str(made)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True, text=True)
    (file,) = made.iterdir()
    return file


@pytest.fixture(scope="module")
def wheel(sdist, tmp_path_factory):
    """Built from the source archive, which therefore holds all that is needed."""
    made = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(sdist)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True, text=True)
    (file,) = made.iterdir()
    return file


def source_files() -> set[str]:
    """The package and its recipes, as they lie in the repository."""
    kinds = ("gbvnet/**/*.py", "gbvnet/**/*.html", "gbvnet/**/*.css", "gbvnet/**/*.yaml", "gbvnet/py.typed")
    kinds += tuple(f"recipes/**/*.{end}" for end in ("py", "yaml", "json", "sh"))
    return {str(file.relative_to(ROOT)) for kind in kinds for file in ROOT.glob(kind)}


@pytest.mark.journey
def test_the_source_archive_holds_what_builds_the_wheel_and_no_stray_file(sdist):
    assert sdist.name == f"gbvnet-{__version__}.tar.gz"
    with tarfile.open(sdist) as opened:
        files = [member for member in opened.getmembers() if member.isfile()]
        names = {member.name.split("/", 1)[1] for member in files}
        assert all(member.isfile() or member.isdir() for member in opened.getmembers())
        for member in files:
            match = SECRETS.search(opened.extractfile(member).read())
            assert not match, (member.name, match)
    written = {"PKG-INFO", "setup.cfg"} | {name for name in names if name.startswith("gbvnet.egg-info/")}
    assert names - written == source_files() | {name for name in NEEDED if (ROOT / name).is_file()}
    assert not names & set(STRAY)


@pytest.mark.journey
def test_the_wheel_holds_the_package_and_its_recipes_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        metadata = opened.read(next(n for n in names if n.endswith("METADATA"))).decode()
        commands = opened.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    about = {n for n in names if n.split("/")[0].endswith(".dist-info")}
    assert names - about == {re.sub("^recipes/", "gbvnet/recipes/", name) for name in source_files()}
    assert {n.split("/", 1)[1] for n in about} == {
        "licenses/LICENSE", "METADATA", "WHEEL", "entry_points.txt", "top_level.txt", "RECORD",
    }  # fmt: skip
    assert "gbvnet = gbvnet.cli.main:main" in commands
    assert "License-Expression: MIT" in metadata and "Requires-Python: <3.14,>=3.11" in metadata
    assert f"\nVersion: {__version__}\n" in metadata and str(ROOT) not in metadata


@pytest.mark.journey
def test_nothing_in_the_wheel_is_a_secret_large_or_of_one_machine(wheel):
    here = re.compile(re.escape(str(ROOT).encode()) + rb"\b")
    with zipfile.ZipFile(wheel) as opened:
        for name in opened.namelist():
            assert not name.startswith("/") and ".." not in name.split("/")
            data = opened.read(name)
            match = SECRETS.search(data) or here.search(data)
            assert not match, (name, match)
        assert sum(member.file_size for member in opened.infolist()) < 5_000_000


@pytest.mark.parametrize(
    "text", [b"-----BEGIN RSA PRIVATE KEY-----", b"hf_" + b"a" * 30, b"in /home/ann/x", b"AKIA" + b"A" * 16]
)
def test_what_a_secret_looks_like_is_known(text):
    assert SECRETS.search(text)


@pytest.mark.journey
def test_a_copied_model_answers_where_only_the_wheel_is_installed(wheel, tmp_path):
    site, away = tmp_path / "site", tmp_path / "away"
    words = ["install", "--quiet", "--no-deps", "--no-index", "--target", str(site), str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True)
    away.mkdir()
    shutil.copytree(write_model(tmp_path / "model"), away / "theirs")
    write_csv(away / "eeg.csv")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}

    def run(*words):
        return subprocess.run(
            [sys.executable, *words], cwd=away, env=environment | {"PYTHONPATH": str(site)}, capture_output=True,
            text=True, timeout=300,
        )  # fmt: skip

    assert run("-c", "import gbvnet; print(gbvnet.__file__)").stdout.strip() == str(site / "gbvnet/__init__.py")
    done = run("-m", "gbvnet", "predict", "theirs", "eeg.csv", "out")
    assert done.returncode == 0, done.stderr
    here = predict_files(away / "theirs", [away / "eeg.csv"]).table
    table = pd.read_csv(away / "out/emotions.csv")
    assert table["valence"].to_numpy() == pytest.approx(here["valence"].to_numpy(), abs=1e-5)
    assert {f.name for f in (away / "out").iterdir()} == {
        "emotions.csv", "recording.json", "timeline.html", "timeline.png",
    }  # fmt: skip
    recipes = run("-c", "from gbvnet.experiments.reproduction.recipe import shipped; print(*shipped())")
    assert sorted(recipes.stdout.split()) == sorted(f.stem for f in (ROOT / "recipes").glob("*.yaml")), recipes.stderr
