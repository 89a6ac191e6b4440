"""Checks of the paths that a command was given, before anything is read."""

from pathlib import Path


def require_paths(name: str, args) -> None:
    """Raise BadConfig for a web address in the place of a local path; only a store may be read from an address."""
    from ..io.remote import require_path

    for option, value in vars(args).items():
        given = value if isinstance(value, list) else [value]
        if option in ("store", "first", "second") and name != "prepare":
            continue
        for path in given[-1:] if name in ("audit", "reproduce") else given:
            if isinstance(path, Path):
                require_path(path)


# The kinds that each command's paths may have: name on the command line, attribute, kinds. `new`: is created.
_KINDS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "train": (("STORE", "store", ("store",)), ("MODEL", "folder", ("new", "model"))),
    "live": (("MODEL", "model", ("model",)),),
    "app": (("MODEL", "model", ("model",)),),
    "model": (("MODEL", "model", ("model",)),),
    "synth": (("DIR", "dir", ("new", "corpus")),),
    "check": (("ROOT", "root", ("corpus",)),),
    "prepare": (("ROOT", "root", ("corpus",)), ("STORE", "store", ("new", "store"))),
    "crossval": (("STORE", "store", ("store",)), ("RUN", "run", ("new", "run", "seeds"))),
    "tune": (("STORE", "store", ("store",)), ("RUN", "run", ("new", "run"))),
    "compare": (("STORE", "store", ("store",)), ("COMPARISON", "comparison", ("new", "comparison"))),
    "transfer": (
        ("STORE_A", "first", ("store",)),
        ("STORE_B", "second", ("store",)),
        ("RUN", "run", ("new", "run")),
    ),
    "explain": (("STORE", "store", ("store",)), ("RUN", "run", ("run",))),
    "table": (("FOLDER", "folder", ("new", "corpus", "signals")),),
    "modality": (("STORE", "store", ("store",)), ("ROOT", "root", ("corpus",))),
}


# Of commands whose paths are one list.
_ORDERS = {
    "predict": "MODEL FILE ... OUT", "report": "RUN ... REPORT", "reproduce": "STORE ... DIR", "audit": "STORE AUDIT",
}  # fmt: skip


def require_kinds(name: str, args) -> None:
    """Raise BadConfig for a store in the place of a run, a video in the place of a model, and so on."""
    from ..io.path_kinds import Argument, require_kinds

    command = f"{name} {args.corpus}" if name in ("check", "prepare", "synth") else name
    command += f" {args.what}" if name in ("model", "table", "modality") else ""
    paths = ((called, getattr(args, attribute, None), kinds) for called, attribute, kinds in _KINDS.get(name, ()))
    given = [Argument(called, path, kinds) for called, path, kinds in paths if isinstance(path, Path)]
    require_kinds(command, given + [Argument(*each) for each in _in_lists(name, args)], _ORDERS.get(name, ""))


def _in_lists(name: str, args):
    """Yield the arguments of commands whose paths are one list: all but the last are read, the last is written."""
    if name not in ("predict", "report", "audit", "reproduce") or not args.paths:
        return
    *files, last = args.paths
    if name == "predict":
        yield "MODEL", args.model, ("model",)
    read, kinds, write, made = {
        "predict": ("CORPUS", ("corpus",), "OUT", ("new", "prediction"))
        if args.__dict__.get("corpus")
        else ("FILE", ("video", "signals"), "OUT", ("new", "prediction")),
        "report": ("RUN", ("run", "seeds", "audit", "comparison"), "REPORT", ("new", "report")),
        "audit": ("STORE", ("store",), "AUDIT", ("new", "audit")),
        "reproduce": ("STORE", ("store",), "DIR", ("new",)),
    }[name]
    # files of predictions: which endings they may have is checked where they are read
    yield from ((read, path, kinds) for path in files if not (name == "report" and path.is_file()))
    yield write, last, made
