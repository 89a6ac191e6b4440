"""The picture of the packages is that of the present imports."""

from pathlib import Path

import pytest
from PIL import Image

import gbvnet

ROOT = Path(gbvnet.__file__).parents[1]
if not (ROOT / "docs" / "architecture.py").is_file():
    pytest.skip("the installed package has no documents beside it", allow_module_level=True)

from docs import architecture  # noqa: E402

ANEW = "run `python -m docs.architecture` and commit what it writes"


@pytest.mark.journey
def test_the_data_beside_the_picture_are_the_present_imports():
    assert architecture.DATA.read_text() == architecture.as_json(architecture.architecture()), ANEW


def test_the_picture_was_drawn_from_these_data():
    with Image.open(architecture.PICTURE) as picture:
        assert picture.text["Description"] == architecture.digest(architecture.DATA.read_text()), ANEW


def test_a_dot_is_an_import_of_a_package_above():
    rows = architecture.architecture()
    number = {row["names"][0]: at for at, row in enumerate(rows)}
    assert number["store"] in rows[number["evaluation"]]["imports"]
    assert number["network"] not in rows[number["report"]]["imports"]
    assert all(other < at for at, row in enumerate(rows) for other in row["imports"])


@pytest.mark.journey
def test_the_same_data_give_the_same_picture(tmp_path):
    rows = architecture.architecture()
    for name in ("a.png", "b.png"):
        architecture.draw(rows, tmp_path / name, "of a test")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
