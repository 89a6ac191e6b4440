"""Networks of others as systems: a torch.nn.Module over signals, faces or both, trained by our loop.

    class Net(ModuleSystem):
        def module(self, shape):
            return MyNetwork(shape.n_channels, shape.n_samples, shape.n_outputs)

A module is called with signals (B, C, L), or faces (B, F, 3, S, S) in [0, 1], or both, by the names that its `forward`
has: `signals` and `faces`; one with a single other name gets signals, as braindecode's `x`. It returns logits (B, K),
or (B,). Signals are z-scored by the mean and SD of each channel over the training windows. A class that is named as it
is (`--system braindecode:EEGConformer`) is made with those of n_chans, n_times, n_outputs, sfreq, n_frames and side
that its constructor has; its other plain parameters are options.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn
from typing_extensions import override

from ...config import uses_face, uses_signals
from ...errors import BadConfig
from .. import BaseSystem
from ..learners.neural import NeuralSystem, NormalisingNetwork, Shape, UngatedOutput
from .constructor_options import options_of, parameters_of, values_of

OF_SIGNALS, OF_FACES = ("bio", "eeg", "peri"), ("face",)
OF_BOTH = ("facebio", "faceeeg", "faceperi")
# What a constructor may ask for, under the names of braindecode.
SIZES: dict[str, Callable[[Shape], Any]] = {
    "n_chans": lambda shape: shape.n_channels,
    "n_times": lambda shape: shape.n_samples,
    "n_outputs": lambda shape: shape.n_outputs,
    "sfreq": lambda shape: shape.rate_hz,
    "n_frames": lambda shape: shape.n_frames,
    "side": lambda shape: shape.side,
}


class ModuleSystem(NeuralSystem, new_hooks=True):
    """A system that trains a module with the loop of gbvnet, with its resume, seeds, guards and devices."""

    modalities: ClassVar[tuple[str, ...]] = OF_SIGNALS

    @abstractmethod
    def module(self, shape: Shape) -> nn.Module:
        """Return the untrained module; its initial weights may depend on PyTorch's random state only."""

    @override
    def build(self, shape: Shape) -> nn.Module:
        return AdaptedModule(self.module(shape), shape, self.config.modality, self.name)


class AdaptedModule(NormalisingNetwork):
    """A module behind z-scored signals, with the inputs and the output that our loop has."""

    def __init__(self, module: nn.Module, shape: Shape, modality: str, name: str):
        super().__init__(shape.n_channels)
        self.module, self.n_outputs, self.name = module, shape.n_outputs, name
        self.inputs = inputs_of(type(module), name)
        for part, used in (("signals", uses_signals(modality)), ("faces", uses_face(modality))):
            if (part in self.inputs) != used:
                has = " and ".join(self.inputs)
                raise BadConfig(f"{name}: its forward takes {has}, which modality {modality} does not fit")

    @override
    def forward(
        self,
        faces: Tensor | None,
        face_ok: Tensor | None,
        signals: Tensor | None,
        has_face: Tensor | None = None,
        has_signals: Tensor | None = None,
    ) -> UngatedOutput:
        given = {"faces": faces, "signals": None if signals is None else self.z_scored(signals)}
        logits = self.module(**{parameter: given[part] for part, parameter in self.inputs.items()})
        n = len(faces) if faces is not None else len(signals) if signals is not None else 0
        if isinstance(logits, Tensor) and logits.ndim == 1 and self.n_outputs == 1:
            logits = logits[:, None]
        if not isinstance(logits, Tensor) or logits.shape != (n, self.n_outputs):
            shown = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise BadConfig(f"{self.name}: expected logits of shape ({n}, {self.n_outputs}), found {shown}")
        return UngatedOutput.of(logits)


def inputs_of(module: type, name: str) -> dict[str, str]:
    """Return which inputs a module's `forward` takes, "signals" and "faces", each with the name of its parameter."""
    parameters = [p.name for p in parameters_of(module.forward)]  # type: ignore[attr-defined]
    named: dict[str, str] = {part: part for part in ("signals", "faces") if part in parameters}
    if not named and parameters:
        return {"signals": parameters[0]}
    if not named:
        raise BadConfig(f"{name}: its forward takes nothing; expected signals, faces, or both")
    return named


def system_of_module(plugin: type[nn.Module], name: str) -> type[BaseSystem]:
    """Return a system for a class of networks, made with the sizes that its constructor asks for."""
    inputs = inputs_of(plugin, name)
    options = options_of(plugin, name, given=tuple(SIZES))
    wanted = [parameter.name for parameter in parameters_of(plugin) if parameter.name in SIZES]
    if "n_outputs" not in wanted:
        raise BadConfig(f"{name}: its constructor has no parameter n_outputs, the number of logits")
    modalities_of_inputs = OF_BOTH if len(inputs) == 2 else OF_FACES if "faces" in inputs else OF_SIGNALS

    class Named(ModuleSystem):
        """A network of a class with braindecode's signature."""

        modalities = modalities_of_inputs
        Options = options  # type: ignore[assignment]

        @override
        def module(self, shape: Shape) -> nn.Module:
            sizes = {size: SIZES[size](shape) for size in wanted}
            try:
                return plugin(**sizes, **values_of(self.options))
            except (TypeError, ValueError, RuntimeError, AssertionError) as error:
                what = ", ".join(f"{size} {value}" for size, value in sizes.items())
                raise BadConfig(f"{name}: cannot be made for {what}: {error}") from error

    Named.__name__ = Named.__qualname__ = plugin.__name__
    return Named
