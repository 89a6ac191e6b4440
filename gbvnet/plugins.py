"""Classes and functions from outside the package, by name, and what identifies their code.

    forest.py:Forest                                  a file
    sklearn.ensemble:RandomForestClassifier           a module that can be imported, also of the current folder
    forest                                            a name that an installed package has given it (entry points)

A plug-in is code of the user's own choice, and runs with the user's rights, as any script does.
"""

import ast
import hashlib
import importlib
import importlib.util
import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BadConfig, GbvnetError, os_error_message
from .text import did_you_mean

if TYPE_CHECKING:  # help of commands needs the names above, and not this library, which takes 20 ms
    from importlib.metadata import Distribution, EntryPoint

SYSTEM_GROUP, CORPUS_GROUP = "gbvnet.systems", "gbvnet.corpora"  # of entry points
MODALITY_GROUP = "gbvnet.modalities"
_OWN = "gbvnet_plugin_"  # what names of modules from files begin with
_PACKAGE = str(Path(__file__).parent)


class Code(NamedTuple):
    """The code of a plug-in, as environment.json keeps it."""

    name: str  # as messages and tables call it
    origin: str  # its file, or the distribution that holds it
    version: str  # of the distribution, or what its module says; "" if neither does
    sha256: str  # of its file, and of the files beside it that it imports


def is_reference(name: str) -> bool:
    """Return whether a name says where a plug-in is, as file.py:Class or module:Class."""
    return ":" in name


def label(name: str) -> str:
    """Return what tables and messages call a plug-in: file.py:Class without its folder, other names as they are."""
    place, colon, attribute = name.rpartition(":")
    return f"{Path(place).name}:{attribute}" if colon and place.endswith(".py") else name


def short_name(name: str) -> str:
    """Return the last part of a reference, its class; other names as they are."""
    return name.rpartition(":")[2]


def absolute(name: str) -> str:
    """Return the reference with the whole path of its file, so that a process in another folder reads the same."""
    place, colon, attribute = name.rpartition(":")
    return f"{Path(place).absolute()}:{attribute}" if colon and place.endswith(".py") else name


@cache
def entry_points(group: str) -> "dict[str, EntryPoint]":
    """Return what installed packages offer under a group, by name, in alphabetical order."""
    import importlib.metadata

    return {point.name: point for point in sorted(importlib.metadata.entry_points(group=group), key=lambda p: p.name)}


def load(name: str, group: str) -> Any:
    """Return the object that a reference or an entry point of the group names.

    Raises BadConfig if its file or module does not exist or cannot be imported, or has no such object.
    """
    place, attribute = _place(name, group)
    module = _module(place, name)
    plugin = _attribute(module, attribute)
    if plugin is None:
        own = [k for k, v in vars(module).items() if getattr(v, "__module__", "") == module.__name__ and k[0] != "_"]
        hint = f"; {did_you_mean(attribute, own)}" if own else ""
        raise BadConfig(f"{name}: {_where(place)} has no {attribute}{hint}")
    return plugin


def code_of(name: str, group: str) -> Code:
    """Return what identifies the code of a plug-in that can be loaded. Raises BadConfig as `load` does."""
    place, _ = _place(name, group)
    return _code(label(name), _module(place, name), is_file=place.endswith(".py"))


def _code(name: str, module: ModuleType, is_file: bool) -> Code:
    file = Path(getattr(module, "__file__", None) or "")
    distribution = None if is_file else _distribution(module.__name__)
    if distribution is not None:
        return Code(name, distribution.name, distribution.version, _digest(file))
    return Code(name, file.name, str(getattr(module, "__version__", "")), _digest(file))


def code_of_class(chosen: type) -> Code | None:
    """Return what identifies the code of a class; None for one of this package."""
    module = sys.modules[chosen.__module__]
    if module.__name__.partition(".")[0] == __package__:
        return None
    file = Path(getattr(module, "__file__", None) or "")
    place = file.name if module.__name__.startswith((_OWN, "__main__")) else module.__name__
    return _code(f"{place}:{chosen.__qualname__}", module, is_file=place == file.name)


def loaded_files() -> tuple[Path, ...]:
    """Return the files that this process has loaded as plug-ins."""
    return tuple(Path(m.__file__ or "") for name, m in list(sys.modules.items()) if name.startswith(_OWN))


def load_files(files: Iterable[Path]) -> None:
    """Load files as plug-ins, so that objects of their classes can be unpickled; those that cannot be loaded any more,
    as of a folder that was moved, are left out."""
    for file in files:
        with suppress(BadConfig):
            _module(str(file), file.name)


@contextmanager
def errors_named(name: str) -> Iterator[None]:
    """Turn what the code of a plug-in raises in the block into a GbvnetError with its class, text, file and line, so
    that it is reported as the error of this plug-in, and other work goes on.

    Errors of gbvnet, and those that a full disk or lack of memory caused, stay as they are.
    """
    try:
        yield
    except GbvnetError:
        raise
    except Exception as error:
        if os_error_message(error) is not None:
            raise
        steps = [s for s in traceback.extract_tb(error.__traceback__) if not s.filename.startswith(_PACKAGE)]
        where = f" ({Path(steps[0].filename).name}, line {steps[0].lineno})" if steps else ""
        text = " ".join(str(error).split())[:300]
        raise GbvnetError(f"{label(name)}: {type(error).__name__}: {text}{where}") from error


# --- from a name to an object ---


def _place(name: str, group: str) -> tuple[str, str]:
    """Return the file or module of a plug-in, and the name of the object in it."""
    place, colon, attribute = name.rpartition(":")
    if not colon:
        point = entry_points(group).get(name)
        if point is None:
            raise BadConfig(f"{name}: no installed package offers it")
        place, attribute = point.module, point.attr
    if not place or not attribute:
        raise BadConfig(f"{name}: expected file.py:Class or module:Class")
    return place, attribute


def _where(place: str) -> str:
    return place if place.endswith(".py") else f"module {place}"


def _module(place: str, name: str) -> ModuleType:
    if not place.endswith(".py"):
        return _import(place, name)
    file = Path(place).absolute()
    try:
        content = file.read_bytes()
    except OSError as error:
        raise BadConfig(f"{name}: {place}: expected a Python file, found {error.strerror or error}") from None
    return _of_file(file, hashlib.sha256(content).hexdigest(), name)


@cache
def _of_file(file: Path, sha256: str, name: str) -> ModuleType:
    """The module of a file with this content; it is imported once a process."""
    module_name = f"{_OWN}{hashlib.sha256(str(file).encode()).hexdigest()[:12]}_{sha256[:12]}"
    if module_name in sys.modules:
        return sys.modules[module_name]
    spec: Any = importlib.util.spec_from_file_location(module_name, file)
    module = importlib.util.module_from_spec(spec)
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # a plug-in may import files beside it, as a script does
    sys.modules[module_name] = module  # before it runs: dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except BaseException as error:
        del sys.modules[module_name]
        raise _not_imported(file.name, name, error) from error
    return module


def _import(place: str, name: str) -> ModuleType:
    here = str(Path.cwd())
    top = place.partition(".")[0]
    if here not in sys.path and any((Path(here) / each).exists() for each in (f"{top}.py", f"{top}/__init__.py")):
        sys.path.append(here)
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name and (place == error.name or place.startswith(f"{error.name}.")):
            hint = "; install the package that has it, or give the file as path/file.py:Class"
            raise BadConfig(f"{name}: no module named {error.name}{hint}") from None
        raise _not_imported(place, name, error) from error
    except BaseException as error:
        raise _not_imported(place, name, error) from error


def _not_imported(place: str, name: str, error: BaseException) -> BaseException:
    """Return the error for a plug-in that fails while it is imported; Ctrl-C stays what it is."""
    if isinstance(error, KeyboardInterrupt):
        return error
    if isinstance(error, SyntaxError):
        line, text = error.lineno, f"SyntaxError: {error.msg}"
    else:
        steps = [step for step in traceback.extract_tb(error.__traceback__) if Path(step.filename).name == place]
        line, text = (steps[-1].lineno if steps else None), f"{type(error).__name__}: {error}"
    missing = (error.name or "") if isinstance(error, ModuleNotFoundError) else ""
    remedy = f"; install {missing.partition('.')[0]}" if missing else ""
    return BadConfig(f"{name}: {place} cannot be imported{f', line {line}' if line else ''}: {text}{remedy}")


def _attribute(module: ModuleType, attribute: str) -> Any:
    """The object of a module, or of its submodule `models`, where packages of networks keep them; None if it has none.

    So `braindecode:EEGConformer` is enough for what is in braindecode.models.
    """
    value: Any = module
    for part in attribute.split("."):
        value = getattr(value, part, None)
    if value is None and hasattr(module, "__path__") and importlib.util.find_spec(f"{module.__name__}.models"):
        value = getattr(_import(f"{module.__name__}.models", f"{module.__name__}:{attribute}"), attribute, None)
    return value


# --- what identifies code ---


@cache
def _distribution(module: str) -> "Distribution | None":
    """The installed distribution that a module is of; None for a module of a folder on the path."""
    import importlib.metadata

    names = importlib.metadata.packages_distributions().get(module.partition(".")[0])
    return importlib.metadata.distribution(names[0]) if names else None


def _digest(file: Path) -> str:
    """sha256 of a source file and of all files of its folder that it imports, directly or through others."""
    total = hashlib.sha256()
    for each in _with_imported(file):
        total.update(each.relative_to(file.parent).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(each.read_bytes()).digest())
    return total.hexdigest()


def _with_imported(file: Path) -> list[Path]:
    """A file and those of its folder, or of packages in it, that it imports, in alphabetical order.

    The text is read, and not what is loaded: that depends on what else a process has imported.
    """
    if not file.is_file():
        return []
    root, done, left = file.parent, set(), [file]
    while left:
        one = left.pop()
        if one in done:
            continue
        done.add(one)
        try:
            tree = ast.parse(one.read_bytes())
        except SyntaxError:
            continue
        left += [each for node in ast.walk(tree) for each in _files_of_import(node, one, root)]
    return sorted(done)


def _files_of_import(node: ast.AST, file: Path, root: Path) -> list[Path]:
    if isinstance(node, ast.Import):
        names, base = [alias.name for alias in node.names], root
    elif isinstance(node, ast.ImportFrom):
        base = file.parents[node.level - 1] if 0 < node.level <= len(file.parents) else root
        stem = node.module or ""
        names = [stem, *(f"{stem}.{alias.name}".strip(".") for alias in node.names)]
    else:
        return []
    paths = [base.joinpath(*name.split(".")) for name in names if name]
    both = [each for path in paths for each in (path.with_name(f"{path.name}.py"), path / "__init__.py")]
    return [each for each in both if each.is_relative_to(root) and each.is_file()]
