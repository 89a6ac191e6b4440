"""What the gates of a network do: how they vary over windows, subjects and noise, and what their variation is worth.

The controls keep every weight and change the gates alone: *frozen*, each gate is its mean over training windows;
*shuffled*, each window has the gates of another. What is lost with frozen gates is what their dynamics are worth: a
fixed weight a feature, which the frozen gates are, needs no gate.

Shapes: n windows, D gates.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import override

from ..errors import GbvnetError
from ..network.model import FACE_WIDTH, GBVNet
from ..report.gate_section import ALL, FROZEN, OWN, SHUFFLED
from .perturbations import add_noise
from .probes import NOISE, Probe, ProbeResult, noise_scales

SHUFFLES = 5  # permutations of the gates, over which the scores are averaged
N_CONTROLS = 3 + SHUFFLES  # predictions that `gate_controls` makes: training windows, own, frozen, shuffled
NOISY = [(modality, share) for modality in ("face", "signals") for share in NOISE if share > 0]
PERCENTILES = 5, 95  # of the windows' gates: their range


class ReplacedGates(nn.Module):
    """A fusion with gates that records them, and uses others in their place where some are given.

    given : (D,) for all windows, or (n, D) for n windows in the order in which they are predicted
    """

    def __init__(self, fusion: Any, given: Tensor | None = None):
        super().__init__()
        self.fusion, self.given, self.recorded, self.done = fusion, given, list[Tensor](), 0

    @override
    def forward(self, f: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        """f: (B, 128), b: (B, 64). Result: fused and gates, each (B, D)."""
        gates = self.fusion.gates(f, b)
        self.recorded.append(gates.float().cpu())
        if self.given is not None:
            given = self.given if self.given.ndim == 1 else self.given[self.done : self.done + len(f)]
            gates = given.to(gates).expand_as(gates)
        self.done += len(f)
        return self.fusion.weigh(f, b, gates), gates


@contextmanager
def replaced_gates(network: GBVNet, given: Tensor | None = None) -> Iterator[ReplacedGates]:
    """Replace the gates of a network within the block, see `ReplacedGates`; without `given` they are recorded only."""
    if not network.has_gates:
        c = network.config
        raise GbvnetError(f"a network of modality {c.modality} and fusion {c.fusion} has no gates to replace")
    own = network.fusion
    network.fusion = replaced = ReplacedGates(own, given)
    try:
        yield replaced
    finally:
        network.fusion = own


def gate_statistics(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield how the gates of windows with both modalities vary: over all, for each subject, and under noise.

    subject, noisy, noise : `all` and none, or a subject; the modality with noise and the share of its power
    gate : face or signals, whose gates
    mean, sd, low, high : of a window's mean gate: over windows, with the 5th and the 95th percentile
    feature_sd : the SD of a single gate over windows, mean over the gates: 0 if no gate depends on the window
    entropy : of a single gate, in bits, mean over gates and windows: 1 at 1/2, 0 where it is open or closed
    """
    rows = _with_both(probe, probe.part.rows)
    if not len(rows):
        return
    subject, scales = probe.store.windows["subject"].to_numpy(str)[rows], noise_scales(probe)
    gates, _ = _gates(probe, rows)
    for name in (ALL, *np.unique(subject).tolist()):
        yield from _described(probe, gates[(subject == name) | (name == ALL)], name)
    for modality, share in NOISY:
        gates, _ = _gates(probe, rows, add_noise(modality, share, probe.config.seed, scales.get(modality)))
        yield from _described(probe, gates, ALL, modality, share)


def gate_controls(probe: Probe) -> Iterator[dict[str, Any]]:
    """Yield the scores of windows with both modalities, by subject, with the network's own gates, frozen and shuffled.

    Frozen: the mean of each gate over training windows, at most as many as are explained, drawn at random. Shuffled:
    the gates of another of the explained windows; mean score over 5 permutations.
    """
    rows = _with_both(probe, probe.part.rows)
    train = _with_both(probe, probe.part.fold.train)
    if not len(rows) or not len(train):
        return
    rng = np.random.default_rng([probe.config.seed, probe.part.fold.number, 3])
    mean = torch.from_numpy(_gates(probe, np.sort(rng.permutation(train)[: probe.config.windows]))[0].mean(axis=0))
    gates, own = _gates(probe, rows)
    controls = {OWN: [own], FROZEN: [_gates(probe, rows, given=mean)[1]]}
    permuted = (torch.from_numpy(gates[rng.permutation(len(rows))]) for _ in range(SHUFFLES))
    controls[SHUFFLED] = [_gates(probe, rows, given=each)[1] for each in permuted]
    subject, y = probe.store.windows["subject"].to_numpy(str)[rows], probe.y(rows)
    for control, results in controls.items():
        for name in (ALL, *np.unique(subject).tolist()):
            those = (subject == name) | (name == ALL)
            for k, target, output in probe.targets():
                each = [output.compute_scores(y[those, k], result.outputs[k][those]) for result in results]
                scores = {score: float(np.mean([one[score] for one in each])) for score in output.scores}
                yield {"target": target, "control": control, "subject": name, "windows": int(those.sum()), **scores}


def _with_both(probe: Probe, rows: np.ndarray) -> np.ndarray:
    has = probe.store.windows[["has_face", "has_signals"]].to_numpy(bool)
    return rows[has[rows].all(axis=1)]


def _gates(
    probe: Probe, rows: np.ndarray, perturb: Any = None, given: Tensor | None = None
) -> tuple[np.ndarray, ProbeResult]:
    """The network's own gates (n, D) for these rows, and what it predicts with the given ones in their place."""
    with replaced_gates(probe.system.network, given) as replaced:  # type: ignore[attr-defined]
        result = probe(rows, perturb)
    return torch.cat(replaced.recorded).double().numpy(), result


def _described(
    probe: Probe, gates: np.ndarray, subject: str, noisy: str = "none", noise: float = 0.0
) -> Iterator[dict[str, Any]]:
    for name, part in (("face", gates[:, :FACE_WIDTH]), ("signals", gates[:, FACE_WIDTH:])):
        of_window = part.mean(axis=1)
        low, high = np.percentile(of_window, PERCENTILES)
        for _, target, _ in probe.targets():
            yield {
                "target": target,
                "subject": subject,
                "noisy": noisy,
                "noise": noise,
                "gate": name,
                "windows": len(part),
                "mean": float(of_window.mean()),
                "sd": float(of_window.std()),
                "low": float(low),
                "high": float(high),
                "feature_sd": float(part.std(axis=0).mean()),
                "entropy": float(binary_entropy(part).mean()),
            }


def binary_entropy(gate: np.ndarray) -> np.ndarray:
    """Return the entropy of gates in bits, of any shape: -g log2 g - (1 - g) log2 (1 - g)."""
    g = np.clip(gate, 1e-12, 1 - 1e-12)
    return -g * np.log2(g) - (1 - g) * np.log2(1 - g)
