"""What must be read before any number: synthetic data, a leaky protocol, shuffled labels. One text for each of them."""

from collections.abc import Iterable, Mapping
from typing import Any

SYNTHETIC = "synthetic data"
LEAKY = "LEAKY: windows of one trial on both sides"
SHUFFLED = "SHUFFLED LABELS"
SHUFFLED_SYSTEM = " on shuffled labels"  # ends a system's name where labels were permuted before training, as a probe
PRUNED_SYSTEM = " pruned to "  # stands behind a system's name where its trained networks were pruned, before the share
OUTSIDE_SYSTEM = " (outside)"  # ends the name of a system that another program ran; none of gbvnet's own ends so
TRANSDUCTIVE_LABEL = ", transductive"  # ends the label of a result whose run scaled signals so
TRANSDUCTIVE = (
    "transductive: the signals of each subject are z-scored by the mean and SD of all windows of that subject, the "
    "tested ones included; no label is used"
)
FORMER_KEY = "made_up"  # of `synthetic`, in the stores, runs, audits and models of gbvnet 0.1
_FORMER_STAMP = "made-up data"  # as gbvnet 0.1 wrote it into predictions, models and corpora


def is_leaky(protocol: str) -> bool:
    """Return whether a protocol puts windows of one trial into training and into test."""
    return protocol == "window"


def is_synthetic(text: str) -> bool:
    """Return whether a stamp, or the title of a data set with its stamp, says that the data are synthetic."""
    return SYNTHETIC in with_current_stamp(text)


def with_current_stamp(title: str) -> str:
    """Return the title of a data set with the stamp of today, whichever version wrote it."""
    return title.replace(_FORMER_STAMP, SYNTHETIC)


def with_current_key(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return metadata read from a file with the key of today, `synthetic`, in the place of the former one."""
    return {"synthetic" if key == FORMER_KEY else key: value for key, value in metadata.items()}


def outside_name(system: str) -> str:
    """Return the name of a system of another program, which is never that of one of gbvnet's own."""
    probe = SHUFFLED_SYSTEM if system.endswith(SHUFFLED_SYSTEM) else ""  # stays last: the stamp depends on it
    return system.removesuffix(probe).removesuffix(OUTSIDE_SYSTEM) + OUTSIDE_SYSTEM + probe


def stamped_title(name: str, synthetic: bool) -> str:
    """Return the title of a data set: its name, with the stamp behind it if it is synthetic."""
    return f"{name} ({SYNTHETIC})" if synthetic else name


def without_stamp(title: str) -> str:
    """Return the name of a data set from its title."""
    return title.removesuffix(f" ({SYNTHETIC})")


def stamps(protocols: Iterable[str] = (), systems: Iterable[str] = (), synthetic: bool = False) -> list[str]:
    """Return the texts that stand beside every number obtained by these protocols and systems, on such data."""
    leaky = any(is_leaky(protocol) for protocol in protocols)
    shuffled = any(system.endswith(SHUFFLED_SYSTEM) for system in systems)
    return [LEAKY] * leaky + [SHUFFLED] * shuffled + [SYNTHETIC] * synthetic


def model_stamps(metadata: Mapping[str, Any]) -> list[str]:
    """Return the texts that stand beside every number of a model, from its metadata."""
    synthetic = [f"model trained on {SYNTHETIC}"] if metadata.get("synthetic") else []
    return synthetic + stamps([str(metadata.get("protocol"))])
