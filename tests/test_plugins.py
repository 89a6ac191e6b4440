"""Plug-ins by name: how they are loaded, what identifies their code, and the message for those that cannot be."""

import importlib.metadata
import pickle
import subprocess
import sys

import pytest

from gbvnet import plugins
from gbvnet.datasets import open_corpus
from gbvnet.errors import BadConfig
from gbvnet.plugins import SYSTEM_GROUP, absolute, code_of, is_reference, label, load, short_name
from gbvnet.systems import BaseSystem, require_system, system, system_names
from gbvnet.systems.logreg import System as LogReg

MINE = "from gbvnet.systems.logreg import System\n\n\nclass Mine(System):\n    '''Of a test.'''\n"


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path / "mine.py"


def test_names():
    assert is_reference("a.py:B") and is_reference("pkg.mod:B") and not is_reference("logreg")
    assert label("/home/x/mine.py:Mine") == "mine.py:Mine" and label("pkg.mod:B") == "pkg.mod:B"
    assert (short_name("x/mine.py:Mine"), short_name("logreg")) == ("Mine", "logreg")
    assert absolute("mine.py:Mine").startswith("/") and absolute("pkg:B") == "pkg:B" and absolute("zhu") == "zhu"


def test_a_file_is_imported_once_and_again_when_it_changed(file):
    first = load(f"{file}:Mine", SYSTEM_GROUP)
    assert first is load(f"{file}:Mine", SYSTEM_GROUP) and issubclass(first, LogReg)
    file.write_text(MINE + "\n\nclass Other(Mine):\n    pass\n")
    assert load(f"{file}:Other", SYSTEM_GROUP).__mro__[1] is not first


def test_a_module_of_the_current_folder_and_of_a_package(file, monkeypatch):
    monkeypatch.chdir(file.parent)
    monkeypatch.setattr(sys, "path", list(sys.path))
    file.rename(file.with_name("mine_as_module.py"))
    assert load("mine_as_module:Mine", SYSTEM_GROUP).__name__ == "Mine"
    assert load("sklearn.svm:SVC", SYSTEM_GROUP).__name__ == "SVC"
    del sys.modules["mine_as_module"]


def test_a_class_may_be_in_a_submodule_called_models(tmp_path, monkeypatch):
    (tmp_path / "zoo_of_a_test" / "models").mkdir(parents=True)
    (tmp_path / "zoo_of_a_test" / "__init__.py").write_text("")
    (tmp_path / "zoo_of_a_test" / "models" / "__init__.py").write_text("class Net:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert load("zoo_of_a_test:Net", SYSTEM_GROUP).__name__ == "Net"


@pytest.mark.journey
def test_entry_points_are_systems_and_corpora(monkeypatch):
    point = importlib.metadata.EntryPoint("forest", "sklearn.ensemble:RandomForestClassifier", SYSTEM_GROUP)
    own = importlib.metadata.EntryPoint("logreg", "nothing.there:X", SYSTEM_GROUP)
    monkeypatch.setattr(plugins, "entry_points", lambda group: {p.name: p for p in (point, own) if p.group == group})
    assert "forest" in system_names() and system_names().count("logreg") == 1
    assert issubclass(system("forest"), BaseSystem) and system("forest").tasks == ("binary", "multiclass")
    assert system("logreg") is LogReg  # a name of this package stays what it is
    assert code_of("forest", SYSTEM_GROUP).origin == "scikit-learn"
    require_system("forest")
    with pytest.raises(BadConfig, match=r"no system forst; did you mean forest"):
        require_system("forst")


@pytest.mark.journey
def test_code_is_the_file_with_what_it_imports_from_its_folder(file):
    def sha256():
        return code_of(f"{file}:Mine", SYSTEM_GROUP).sha256

    alone = sha256()
    (file.parent / "beside.py").write_text("x = 1\n")
    assert sha256() == alone  # it is not imported
    file.write_text(MINE + "import beside\nimport os\nfrom deeper import thing\n")
    (file.parent / "deeper").mkdir()
    (file.parent / "deeper" / "__init__.py").write_text("from .thing import y\n")
    (file.parent / "deeper" / "thing.py").write_text("y = 1\n")
    first = sha256()
    (file.parent / "beside.py").write_text("x = 2\n")
    second = sha256()
    (file.parent / "deeper" / "thing.py").write_text("y = 2\n")
    assert len({alone, first, second, sha256()}) == 4
    # What else the process has loaded does not matter.
    (file.parent / "other.py").write_text("class Other:\n    pass\n")
    before = sha256()
    load(f"{file.parent}/other.py:Other", SYSTEM_GROUP)
    assert sha256() == before
    assert code_of("sklearn.svm:SVC", SYSTEM_GROUP).version == importlib.metadata.version("scikit-learn")


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (None, "mine.py:Mine", "mine.py: expected a Python file, found No such file"),
        (MINE, "mine.py:Mein", "mine.py has no Mein; did you mean Mine?"),
        (MINE, "mine.py:", "expected file.py:Class or module:Class"),
        ("class A(:\n", "mine.py:A", "mine.py cannot be imported, line 1: SyntaxError"),
        ("import os\nimport no_such_package\n", "mine.py:A", "line 2: ModuleNotFoundError.*; install no_such_package"),
        ("\n\nraise ValueError('why')\n", "mine.py:A", "line 3: ValueError: why"),
        ("import sys\nsys.exit(3)\n", "mine.py:A", "line 2: SystemExit: 3"),
        ("X = 1\n", "mine.py:X", "expected a subclass of gbvnet.systems.BaseSystem.*; found a int"),
        ("class A:\n    pass\n", "mine.py:A", "a torch.nn.Module, or a function; found class A without them"),
        (MINE, "no_such_module_here:A", "no module named no_such_module_here; install the package"),
        (MINE, "mine.py", "expected a file and the class in it, as mine.py:MySystem"),
        (
            "from gbvnet.systems import BaseSystem\n\n\nclass A(BaseSystem):\n    pass\n", "mine.py:A",
            "a system needs about, fit, load, predict_proba, save, which this class does not define",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_loaded_is_refused_in_one_line(content, name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / "mine.py").write_text(content)
    with pytest.raises(BadConfig, match=message) as error:
        system(name)
    assert "\n" not in str(error.value)


def test_corpora_are_refused_in_the_same_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lab.py").write_text(
        "class Reader:\n    @classmethod\n    def open(cls, root):\n        return cls()\n\n\nclass Other:\n    pass\n"
    )
    with pytest.raises(BadConfig, match=r"lab.py:Reader: a corpus needs dataset, source, synthetic, rate_hz"):
        open_corpus("lab.py:Reader", tmp_path)
    with pytest.raises(BadConfig, match=r"lab.py:Other: expected a class with open"):
        open_corpus("lab.py:Other", tmp_path)
    with pytest.raises(BadConfig, match=r"raw: lab.py:Reader has one form"):
        open_corpus("lab.py:Reader", tmp_path, raw=True)
    with pytest.raises(BadConfig, match=r"as lab.py:Reader"):
        open_corpus("lab.py", tmp_path)


@pytest.mark.journey
def test_another_process_unpickles_what_a_file_defines(file, tmp_path):
    from gbvnet.parallel.tasks import _RemoteCall

    file.write_text("class Doubled:\n    def __call__(self, x):\n        return 2 * x\n")
    made = load(f"{file}:Doubled", SYSTEM_GROUP)()
    packed = pickle.dumps(_RemoteCall(made))
    (tmp_path / "packed").write_bytes(packed)
    code = f"import pickle; print(pickle.loads(open({str(tmp_path / 'packed')!r}, 'rb').read())(21).outcome)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "42", done.stderr
