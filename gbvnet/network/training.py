"""The training loop of every network here, on Lightning: epochs, early stopping, precision, devices, resumption.

A killed training goes on at the epoch it had reached and ends with the very weights of an undisturbed one, as every
random choice (order, dropout, augmentation) follows from the seed, the epoch and the step, and from nothing before.
"""

import contextlib
import csv
import io
import logging
import math
import os
import pickle
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from typing_extensions import override

from ..config import TrainConfig, require
from ..errors import GbvnetError
from ..io.atomic import atomic_write
from ..preprocessing.native_library import ignore_profiling_signals
from .batches import Batch, Windows
from .devices import channels_last, device_of, precision_of
from .model import pixels

log = logging.getLogger(__name__)

PREDICT_BATCH = 256  # windows
SAVE_EVERY_S = 1.0  # a checkpoint at the end of each epoch, but no more often than this
CHECKPOINT, HISTORY = "last.ckpt", "history.csv"
COLUMNS = ("epoch", "train_loss", "train_accuracy", "inner_loss", "inner_accuracy", "seconds")

Augment = Callable[[Batch, torch.Generator], Batch]


@dataclass(frozen=True)
class Fitted:
    """What came of a training. `history` holds a dict of COLUMNS for each epoch, `chosen_epoch` counts from 1."""

    history: list[dict[str, Any]]
    chosen_epoch: int


def batch_size(n_train: int, config: TrainConfig) -> int:
    """Windows a step: as set, or 256 (paper), or on small data the power of two at most n / 16, at least 16."""
    if config.batch_size is not None:
        return config.batch_size
    return max(16, min(256, 2 ** int(math.log2(max(n_train / 16, 1)))))


def fit_network(
    network: nn.Module,
    train: Windows,
    validation: Windows | None,
    config: TrainConfig,
    seed: int,
    *,
    augment: Augment | None = None,
    work: Path | None = None,
    label: str = "",
) -> Fitted:
    """Train `network` in place and leave it with the weights of the chosen epoch, on the CPU, in evaluation mode.

    network : called with the first five fields of a Batch, gives an object with `logits` (B, K)
    train, validation : windows with labels; without `validation` the last epoch is kept
    augment : changes a training batch, its faces as (B, F, 3, S, S) in [0, 1]; given a generator seeded for this step
    work : folder for the checkpoint and history.csv; a training that was killed goes on from there
    label : what log lines begin with

    Raises GbvnetError if a loss is no longer finite, with the epoch; BadConfig if there are more processes than windows
    in a batch, or no validation window.
    """
    require(validation is None or len(validation), f"{label}there is no validation window to choose the epoch by")
    device = device_of(config)
    if device.type == "cuda":
        channels_last(network)
    loop = _Loop(network, config, seed, augment, work, label, has_validation=validation is not None)
    state = _resumable(work)
    if work is not None and state is not None and state["finished"]:
        loop.take(state)
        loop.write_history(work)  # its process may have been killed between the two files
    else:
        size = min(batch_size(len(train), config), len(train))
        loop.batch_windows = size
        ignore_profiling_signals()
        with _quietly(), _own_random_state(device), _default_ctrl_c(), _compiling(config.compile):
            trainer = _trainer(config, device)
            _require_shares(size, trainer.world_size)
            trainer.fit(
                loop,
                _Shuffled(train, size, seed, loop),
                None if validation is None else _InOrder(validation, size, loop),
                ckpt_path=None if state is None else work / CHECKPOINT,  # type: ignore[operator]
                weights_only=True,
            )
    network.load_state_dict(loop.kept)
    network.to("cpu").eval()
    return Fitted(loop.history, loop.chosen_epoch)


@torch.inference_mode()
def predict_network(
    network: nn.Module, windows: Windows, config: TrainConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Logits (n, K) and the mean gate of the face and of the signals, (n,) each (NaN where there is none), float64."""
    device = windows.device
    bf16 = precision_of(config, device) == "bf16-mixed"
    network = network.to(device).eval()
    found: list[list[Tensor]] = [[], [], []]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for batch in windows.in_order(PREDICT_BATCH):
            out = network(*_with_pixels(batch)[:5])
            for column, value in zip(found, (out.logits, out.gate_face, out.gate_bio), strict=True):
                column.append(value.float())
    network.to("cpu")
    logits, face, bio = (torch.cat(column).double().cpu().numpy() for column in found)
    return logits, face, bio


def _require_shares(size: int, world: int) -> None:
    """Raise BadConfig if a training batch of so many windows leaves one of the processes without any."""
    require(
        size >= world,
        f"a training batch of {size} windows cannot be shared out among {world} processes: give at most {size} of them "
        "(train.devices times the number of nodes), or a larger train.batch_size",
    )


def _labels(batch: Batch) -> Tensor:
    """(B, K), of a batch that is trained on or validated with."""
    if batch.y is None:
        raise GbvnetError("a batch without labels cannot be trained on")
    return batch.y


def _with_pixels(batch: Batch) -> Batch:
    """The same with faces (B, F, 3, S, S) float in [0, 1]."""
    return batch if batch.faces is None else batch._replace(faces=pixels(batch.faces))


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _seed_dropout(seed: int, device: torch.device) -> None:
    """What torch.manual_seed does for the one device in use; that spends milliseconds on devices that are not there."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


class _Shuffled:
    """The training windows, in another order each epoch. An incomplete last batch is left out of that epoch."""

    def __init__(self, windows: Windows, size: int, seed: int, loop: "_Loop"):
        self.windows, self.size, self.seed, self.loop = windows, size, seed, loop

    def __len__(self) -> int:
        return len(self.windows) // self.size

    def __iter__(self) -> Iterator[Batch]:
        order = np.random.default_rng([self.seed, self.loop.epochs_done]).permutation(len(self.windows))
        batches = (order[i * self.size : (i + 1) * self.size] for i in range(len(self)))
        yield from self.windows.batches(self.loop.share(batch) for batch in batches)


class _InOrder:
    def __init__(self, windows: Windows, size: int, loop: "_Loop"):
        self.windows, self.size, self.loop = windows, size, loop

    def __len__(self) -> int:
        return -(-len(self.windows) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        mine = np.arange(len(self.windows))
        batches = (mine[i * self.size : (i + 1) * self.size] for i in range(len(self)))
        return self.windows.batches(self.loop.share(batch) for batch in batches)


class _Loop(L.LightningModule):
    """One training. Nothing is logged or synchronised within an epoch: sums stay on the device until it ends."""

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        seed: int,
        augment: Augment | None,
        work: Path | None,
        label: str,
        has_validation: bool,
    ):
        super().__init__()
        self.network, self.config, self.seed = network, config, seed
        self.augment, self.work, self.label, self.has_validation = augment, work, label, has_validation
        # A list hides the compiled twin from torch: it shares its weights with `network`.
        self.compiled = [torch.compile(network)] if config.compile else [network]
        self.history: list[dict[str, Any]] = []
        self.kept: dict[str, Tensor] = {}
        self.chosen_epoch = 0
        self.batch_windows = 0  # in a training batch of all processes together
        self.began, self.saved = 0.0, time.perf_counter()
        self.on_sigterm = signal.getsignal(signal.SIGTERM)

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    def share(self, batch: np.ndarray, whole: bool = True) -> np.ndarray:
        """What this process takes of a batch, where several train together.

        Every window of the batch goes to one process, and no process gets two more than another; so some get none of a
        batch that has fewer windows than there are processes. With `whole` false the windows that are left over when
        all have equally many go to nobody.
        """
        world, rank = self.trainer.world_size, self.trainer.global_rank
        if not whole:
            batch = batch[: len(batch) // world * world]
        return np.array_split(batch, world)[rank]

    @override
    def configure_optimizers(self):
        return torch.optim.Adam(self.network.parameters(), lr=self.config.learning_rate)

    @override
    def on_train_start(self):
        # Lightning would put SIGTERM off to the end of the epoch, which may be an hour; nothing is lost by dying now.
        if self.on_sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.on_sigterm)

    @override
    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch  # Windows has put it there

    @override
    def on_train_epoch_start(self):
        self.began = time.perf_counter()
        self.sums = {side: torch.zeros(3, device=self.device) for side in ("train", "validation")}  # loss, hits, labels
        self.generator = torch.Generator(self.device)

    @override
    def training_step(self, batch: Batch, step: int) -> Tensor:
        together = [self.trainer.global_rank] if self.trainer.world_size > 1 else []
        seed = _mix(self.seed, self.epochs_done, step, *together)
        _seed_dropout(seed, self.device)
        batch = _with_pixels(batch)
        if self.augment is not None:
            batch = self.augment(batch, self.generator.manual_seed(seed))
        loss = self._loss(batch, "train")
        world = self.trainer.world_size
        # The processes' gradients are averaged with equal weight: one with a smaller share must count for less.
        return loss if world == 1 else loss * (len(_labels(batch)) * world / self.batch_windows)

    @override
    def validation_step(self, batch: Batch, step: int) -> None:
        if len(_labels(batch)):  # the mean over no window is no number
            self._loss(_with_pixels(batch), "validation")

    def _loss(self, batch: Batch, side: str) -> Tensor:
        logits = self.compiled[0](*batch[:5]).logits.float()  # (B, K)
        y = _labels(batch)
        loss = binary_cross_entropy_with_logits(logits, y)
        with torch.no_grad():
            hits = ((logits > 0) == (y > 0.5)).sum()
            n = torch.full((), logits.numel(), device=logits.device)
            self.sums[side] += torch.stack([loss.detach() * n, hits, n])
        return loss

    @override
    def on_train_epoch_end(self):
        if self.trainer.world_size > 1:
            for sums in self.sums.values():
                torch.distributed.all_reduce(sums)
        means = {side: (s[:2] / s[2]).tolist() for side, s in self.sums.items()}
        row = dict(zip(COLUMNS, [self.epochs_done + 1, *means["train"], *means["validation"]], strict=False))
        row["seconds"] = time.perf_counter() - self.began
        self.history.append(row)
        self._require_finite(row)
        select_best = self.has_validation and self.config.select != "last"
        best = min((h["inner_loss"] for h in self.history[:-1] if not math.isnan(h["inner_loss"])), default=math.inf)
        if not select_best or row["inner_loss"] < best or not self.kept:
            self.kept = {name: t.detach().to("cpu", copy=True) for name, t in self.network.state_dict().items()}
            self.chosen_epoch = self.epochs_done
        stalled = select_best and self.epochs_done - self.chosen_epoch >= self.config.patience
        self.finished = stalled or self.epochs_done >= self.config.epochs
        self.trainer.should_stop = stalled
        log.debug("%s%s", self.label, _line(row))
        often = self.trainer.world_size == 1 and time.perf_counter() - self.saved < SAVE_EVERY_S  # clocks differ
        if self.work is not None and (self.finished or not often):
            self._save(self.work)
            self.saved = time.perf_counter()

    def _require_finite(self, row: dict[str, Any]) -> None:
        """Raise GbvnetError if a loss of this epoch is no number: nothing could be compared with it."""
        sides = {"training": "train_loss"} | ({"validation": "inner_loss"} if self.has_validation else {})
        for side, column in sides.items():
            if not math.isfinite(row[column]):
                raise GbvnetError(
                    f"{self.label}training diverged in epoch {row['epoch']}: the {side} loss is {row[column]}. "
                    f"A smaller train.learning_rate than {self.config.learning_rate:g} may help"
                )

    def _save(self, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        self.trainer.save_checkpoint(work / CHECKPOINT)  # all processes must call it, and the first one writes
        if self.trainer.is_global_zero:
            self.write_history(work)

    def write_history(self, work: Path) -> None:
        text = io.StringIO()
        rows = csv.DictWriter(text, COLUMNS, lineterminator="\n")
        rows.writeheader()
        rows.writerows(self.history)
        atomic_write(work / HISTORY, text.getvalue().encode())

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        names = ("history", "kept", "chosen_epoch", "finished")
        checkpoint["gbvnet"] = {name: getattr(self, name) for name in names}

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.take(checkpoint["gbvnet"])
        log.info("%sgoing on after epoch %d", self.label, self.epochs_done)

    def take(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)


class _WholeCheckpoints(TorchCheckpointIO):
    """Lightning's own would write into the system's folder for temporary files first, which may be small, and where
    what a killed process was writing stays for ever."""

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        atomic_write(Path(path), content.getvalue())


def _line(row: dict[str, Any]) -> str:
    text = "epoch {epoch:2d}: loss {train_loss:.3f} ({train_accuracy:.1%})".format(**row)
    if math.isnan(row["inner_loss"]):
        return text
    return text + ", validation {inner_loss:.3f} ({inner_accuracy:.1%})".format(**row)


def _together(device: torch.device) -> Any:
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
        strategy=_together(device) if config.devices > 1 else "auto",
        sync_batchnorm=config.devices > 1 and device.type == "cuda",  # on CPUs there is no such thing
        num_nodes=int(os.environ.get("SLURM_NNODES", "1")) if config.devices > 1 else 1,
        precision=precision_of(config, device),
        plugins=[_WholeCheckpoints()],
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
    """What an earlier training in this folder had reached, or None; a damaged checkpoint is as good as none."""
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


_LIGHTNINGS_OWN_BUSINESS = (
    "Grad strides do not match bucket view strides",  # of the layout that torch chose for a gradient
    r"`isinstance\(treespec, LeafSpec\)` is deprecated",  # Lightning 2.6 with newer torch
    "You defined a `validation_step` but have no `val_dataloader`",  # a training without validation rows is intended
    "The '(train|val)_dataloader' does not have many workers",  # Windows reads ahead by itself
)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Keep Lightning's notes on itself from the user: its tips, at the level of INFO, and warnings that we know."""
    loggers = [logging.getLogger(f"lightning.{name}") for name in ("pytorch", "fabric")]
    levels = [each.level for each in loggers]
    for each in loggers:
        each.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for start in _LIGHTNINGS_OWN_BUSINESS:
                warnings.filterwarnings("ignore", start)
            yield
    finally:
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


@contextlib.contextmanager
def _compiling(asked_for: bool) -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # what torch's compiler raises, and has no public name
        if not (asked_for and type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))):
            raise
        first = str(error).strip().splitlines()[0]
        raise GbvnetError(f"torch.compile does not work here ({first}); leave train.compile off") from error


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
