"""The training of every network here, on Lightning: epochs, early stopping, precision, devices, resumption.

Lightning takes longer to import than torch: systems import this file when they train.

A killed training goes on at the epoch it had reached and ends with exactly the weights of an undisturbed one, as every
random choice (order, dropout, augmentation) follows from the seed, the epoch and the step only.
"""

import contextlib
import logging
import os
import pickle
import signal
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import nn

from ..config import TrainConfig, require
from ..errors import GbvnetError
from ..preprocessing.native_library import ignore_profiling_signals
from .compiling import compiled_training, is_compiled, is_compilers, summary
from .devices import channels_last, device_of, is_first, precision_of
from .lightning_module import AtomicCheckpointIO, OrderedBatches, ShuffledBatches, TrainingModule
from .training_data import CHECKPOINT, Augment, TrainingData, TrainingResult, batch_size
from .training_log import TrainingLog

log = logging.getLogger(__name__)


def fit_network(
    network: nn.Module,
    data: TrainingData,
    config: TrainConfig,
    seed: int,
    *,
    augment: Augment | None = None,
    work: Path | None = None,
    label: str = "",
) -> TrainingResult:
    """Train `network` in place and leave it with the weights of the chosen epoch, on the CPU, in evaluation mode.

    network : called with the inputs that a Batch has for it, returns an object with `logits` (B, K)
    data : the windows, their labels, and what is minimised over them
    augment : changes a training batch, its faces as (B, F, 3, S, S) in [0, 1]; given a generator seeded for this step
    work : folder for the checkpoint and history.csv; a training that was killed goes on from there
    label : prefix of log lines and messages

    Raises GbvnetError if a loss is no longer finite, with the epoch; BadConfig if there are more processes than windows
    in a batch, or no validation window.
    """
    train, validation = data.train, data.validation
    require(validation is None or len(validation), f"{label}there is no validation window to choose the epoch by")
    device = device_of(config)
    if device.type == "cuda":
        channels_last(network)
    module = TrainingModule(network, config, seed, augment, work, label, data)
    state = _resumable(work)
    if work is not None and state is not None and state["finished"]:
        module.restore(state)
        module.write_history(work)  # its process may have been killed between the two files
        with _logged(data.log, state):
            pass
    else:
        size = min(batch_size(len(train), config), len(train))
        module.batch_windows, module.is_compiled = size, is_compiled(network, config, device, len(train))
        ignore_profiling_signals()
        with (
            _silence_lightning(),
            _own_random_state(device),
            _logged(data.log, state),
            _default_ctrl_c(),
            _explain_compiler(),
            compiled_training(module.is_compiled, device),
        ):
            trainer = _trainer(config, device)
            _require_shares(size, trainer.world_size)
            trainer.fit(
                module,
                ShuffledBatches(train, size, seed, module),
                None if validation is None else OrderedBatches(validation, size, module),
                ckpt_path=None if state is None else work / CHECKPOINT,  # type: ignore[operator]
                weights_only=True,
            )
    network.load_state_dict(module.kept)
    network.to("cpu").eval()
    return TrainingResult(module.history, module.chosen_epoch)


def _logged(log_of_training: TrainingLog | None, state: dict[str, Any] | None) -> AbstractContextManager[None]:
    """Open the log of a training, if there is one, in the one process that writes it."""
    if log_of_training is None or not is_first():
        return contextlib.nullcontext()
    return log_of_training.opened([] if state is None else state["history"])


def _require_shares(size: int, world: int) -> None:
    """Raise BadConfig if a training batch of so many windows leaves one of the processes without any."""
    require(
        size >= world,
        f"a training batch of {size} windows cannot be shared out among {world} processes: give at most {size} of them "
        "(train.devices times the number of nodes), or a larger train.batch_size",
    )


def _ddp_strategy(device: torch.device) -> Any:
    """How several processes train one model: each adds its share to every gradient (Lightning's DDP).

    Modality dropout can leave a part of the network without any window to learn from, in one of them.
    """
    from lightning.pytorch.strategies import DDPStrategy

    backend = "nccl" if device.type == "cuda" else "gloo"
    return DDPStrategy(process_group_backend=backend, find_unused_parameters=True)


def _trainer(config: TrainConfig, device: torch.device) -> L.Trainer:
    return L.Trainer(
        accelerator="gpu" if device.type == "cuda" else "cpu",
        devices=config.devices if config.devices > 1 else [device.index] if device.type == "cuda" else 1,
        strategy=_ddp_strategy(device) if config.devices > 1 else "auto",
        sync_batchnorm=config.devices > 1 and device.type == "cuda",  # not supported on CPUs
        num_nodes=int(os.environ.get("SLURM_NNODES", "1")) if config.devices > 1 else 1,
        precision=precision_of(config, device),
        plugins=[AtomicCheckpointIO()],
        max_epochs=config.epochs,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_autolog_hparams=False,
        use_distributed_sampler=False,
    )


def _resumable(work: Path | None) -> dict[str, Any] | None:
    """The state that an earlier training in this folder had reached; None if there is none or it cannot be read."""
    file = None if work is None else work / CHECKPOINT
    if file is None or not file.exists():
        return None
    try:
        return torch.load(file, map_location="cpu", weights_only=True)["gbvnet"]
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        log.warning("%s cannot be read (%s); this training begins anew", file, error)
        return None


@contextlib.contextmanager
def _own_random_state(device: torch.device) -> Iterator[None]:
    with torch.random.fork_rng([device.index] if device.type == "cuda" else []):
        yield


_IRRELEVANT_WARNINGS = (
    "Grad strides do not match bucket view strides",  # of the layout that torch chose for a gradient
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 with newer torch
    "You defined a `validation_step` but have no `val_dataloader`",  # a training without validation rows is intended
    "The '(train|val)_dataloader' does not have many workers",  # Windows reads ahead in its own thread
)


@contextlib.contextmanager
def _silence_lightning() -> Iterator[None]:
    """Hide Lightning's tips, which it logs at level INFO, and the warnings above, which need no action."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for start in _IRRELEVANT_WARNINGS:
                warnings.filterwarnings("ignore", start)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


@contextlib.contextmanager
def _explain_compiler() -> Iterator[None]:
    """Turn an error of torch's compiler into a GbvnetError that says what to do."""
    try:
        yield
    except RuntimeError as error:
        if not is_compilers(error):
            raise
        remedy = "leave train.compile off"
        raise GbvnetError(f"torch.compile does not work here ({summary(error)}); {remedy}") from error


@contextlib.contextmanager
def _default_ctrl_c() -> Iterator[None]:
    """Lightning turns Ctrl-C into an exit and then ignores Ctrl-C; the caller should see a KeyboardInterrupt."""
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as stopped:
        raise KeyboardInterrupt from stopped
    finally:
        if main:
            signal.signal(signal.SIGINT, before)
