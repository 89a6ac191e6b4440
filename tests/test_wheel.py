"""The wheel: what is in it, and that a model works where nothing but the wheel is."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from gbvnet.inference.predict import predict_files

from .app_fixtures import write_csv, write_model

ROOT = Path(__file__).parents[1]
NEEDED = ("gbvnet", "recipes", "pyproject.toml", "README.md", "LICENSE")  # to build it; and nothing else is
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
def wheel(tmp_path_factory):
    """Built from a copy, so that a build folder that is there already has no part in it."""
    source = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / name, source / name)
    for name in STRAY:
        (source / name).write_text("stray")
    made = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(made), str(source)]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, capture_output=True, text=True)
    (file,) = made.iterdir()
    return file


@pytest.mark.journey
def test_the_wheel_holds_the_package_and_its_recipes_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        metadata = opened.read(next(n for n in names if n.endswith("METADATA"))).decode()
        commands = opened.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    about = {n for n in names if n.split("/")[0].endswith(".dist-info")}
    wanted = {str(f.relative_to(ROOT)) for f in (ROOT / "gbvnet").rglob("*.py")}
    pages = (f for kind in ("*.html", "*.css", "*.yaml") for f in (ROOT / "gbvnet").rglob(kind))
    wanted |= {"gbvnet/py.typed", *(str(f.relative_to(ROOT)) for f in pages)}
    wanted |= {
        f"gbvnet/{f.relative_to(ROOT)}"
        for end in ("py", "yaml", "json", "sh")
        for f in ROOT.glob(f"recipes/**/*.{end}")
    }
    assert names - about == wanted
    assert {n.split("/", 1)[1] for n in about} == {
        "licenses/LICENSE", "METADATA", "WHEEL", "entry_points.txt", "top_level.txt", "RECORD",
    }  # fmt: skip
    assert "gbvnet = gbvnet.cli.main:main" in commands
    assert "License-Expression: MIT" in metadata and "Requires-Python: <3.14,>=3.11" in metadata
    assert str(ROOT) not in metadata


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
