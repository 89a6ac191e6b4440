"""What must be read before any number: synthetic data, a leaky protocol, shuffled labels. One text for each of them."""

from collections.abc import Iterable, Mapping
from typing import Any

SYNTHETIC = "synthetic data"
LEAKY = "LEAKY: windows of one trial on both sides"
SHUFFLED = "SHUFFLED LABELS"
SHUFFLED_SYSTEM = " on shuffled labels"  # ends a system's name where labels were permuted before training, as a probe
_FORMER_SYNTHETIC = "made-up data"  # as gbvnet 0.1 wrote it into stores, predictions and corpora


def is_leaky(protocol: str) -> bool:
    """Return whether a protocol puts windows of one trial into training and into test."""
    return protocol == "window"


def is_synthetic(text: str) -> bool:
    """Return whether a stamp, or the title of a data set with its stamp, says that the data are synthetic."""
    return SYNTHETIC in with_current_stamp(text)


def with_current_stamp(title: str) -> str:
    """Return the title of a data set with the stamp of today, whichever version wrote it."""
    return title.replace(_FORMER_SYNTHETIC, SYNTHETIC)


def is_marked_synthetic(metadata: Mapping[str, Any]) -> bool:
    """Return whether the metadata of a store, run or model say that its data are synthetic, under the key of today or
    the former one (`made_up`)."""
    return bool(metadata.get("synthetic", metadata.get("made_up")))


def stamps(protocols: Iterable[str] = (), systems: Iterable[str] = (), synthetic: bool = False) -> list[str]:
    """Return the texts that stand beside every number obtained by these protocols and systems, on such data."""
    leaky = any(is_leaky(protocol) for protocol in protocols)
    shuffled = any(system.endswith(SHUFFLED_SYSTEM) for system in systems)
    return [LEAKY] * leaky + [SHUFFLED] * shuffled + [SYNTHETIC] * synthetic


def model_stamps(metadata: Mapping[str, Any]) -> list[str]:
    """Return the texts that stand beside every number of a model, from its metadata."""
    synthetic = [f"model trained on {SYNTHETIC}"] if is_marked_synthetic(metadata) else []
    return synthetic + stamps([str(metadata.get("protocol"))])
