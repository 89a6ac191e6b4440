"""One training as Lightning's hooks: its batches, losses, epochs, the choice of the epoch, and its checkpoint.

Shapes: B windows in a batch, K outputs of the network.
"""

import csv
import io
import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn
from typing_extensions import override

from ..config import TrainConfig
from ..errors import GbvnetError
from ..io.atomic import atomic_write
from .batches import Batch, BatchSource, with_network_faces
from .compiling import CompiledNetwork
from .devices import adam
from .training_data import CHECKPOINT, COLUMNS, HISTORY, Augment, TrainingData

log = logging.getLogger(__name__)

SAVE_EVERY_S = 1.0  # a checkpoint at the end of each epoch, but no more often than this


class ShuffledBatches:
    """The training windows, in another order each epoch. An incomplete last batch is left out of that epoch."""

    def __init__(self, windows: BatchSource, size: int, seed: int, module: "TrainingModule"):
        self.windows, self.size, self.seed, self.module = windows, size, seed, module

    def __len__(self) -> int:
        return len(self.windows) // self.size

    def __iter__(self) -> Iterator[Batch]:
        order = np.random.default_rng([self.seed, self.module.epochs_done]).permutation(len(self.windows))
        batches = (order[i * self.size : (i + 1) * self.size] for i in range(len(self)))
        yield from self.windows.batches(self.module.share(batch) for batch in batches)


class OrderedBatches:
    """The validation windows in their own order, the incomplete last batch included."""

    def __init__(self, windows: BatchSource, size: int, module: "TrainingModule"):
        self.windows, self.size, self.module = windows, size, module

    def __len__(self) -> int:
        return -(-len(self.windows) // self.size)

    def __iter__(self) -> Iterator[Batch]:
        order = np.arange(len(self.windows))
        batches = (order[i * self.size : (i + 1) * self.size] for i in range(len(self)))
        return self.windows.batches(self.module.share(batch) for batch in batches)


class TrainingModule(L.LightningModule):
    """One training. Nothing is logged or synchronised within an epoch: sums stay on the device until it ends."""

    def __init__(
        self,
        network: nn.Module,
        config: TrainConfig,
        seed: int,
        augment: Augment | None,
        work: Path | None,
        label: str,
        data: TrainingData,
    ):
        super().__init__()
        self.network, self.config, self.seed = network, config, seed
        self.augment, self.work, self.label = augment, work, label
        self.has_validation, self.objective = data.validation is not None, data.objective
        self.training_log = data.log
        self.forward_of: Callable[..., Any] = network.__call__  # or the network's compiled form
        self.history: list[dict[str, Any]] = []
        self.kept: dict[str, Tensor] = {}  # the weights of the chosen epoch
        self.chosen_epoch = 0
        self.batch_windows = 0  # in a training batch of all processes together
        self.is_compiled = False
        self.epoch_began, self.saved = 0.0, time.perf_counter()
        self.on_sigterm = signal.getsignal(signal.SIGTERM)

    @property
    def epochs_done(self) -> int:
        """The number of finished epochs."""
        return len(self.history)

    def share(self, batch: np.ndarray) -> np.ndarray:
        """Return this process's share of a batch, where several train together.

        Every window of the batch is in one share, and the sizes of shares differ by one at most; so some are empty if
        the batch has fewer windows than there are processes.
        """
        return np.array_split(batch, self.trainer.world_size)[self.trainer.global_rank]

    @override
    def on_fit_start(self):
        if self.is_compiled:
            size = self.batch_windows // self.trainer.world_size
            required = self.config.compile is True
            self.forward_of = CompiledNetwork(self.network, size, self.device, self.label, required)

    @override
    def configure_optimizers(self):
        return adam(self.network.parameters(), self.config.learning_rate)

    @override
    def on_train_start(self):
        # Lightning would delay SIGTERM to the end of the epoch, which may be an hour; nothing is lost by ending now.
        if self.on_sigterm is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self.on_sigterm)

    @override
    def transfer_batch_to_device(self, batch, device, dataloader_idx):
        return batch  # the source has moved it already

    @override
    def on_train_epoch_start(self):
        self.epoch_began = time.perf_counter()
        n = self.objective.n_sums
        self.sums = {side: torch.zeros(n, device=self.device) for side in ("train", "validation")}
        self.generator = torch.Generator(self.device)

    @override
    def training_step(self, batch: Batch, step: int) -> Tensor:
        rank = [self.trainer.global_rank] if self.trainer.world_size > 1 else []
        seed = _mix(self.seed, self.epochs_done, step, *rank)
        if self.is_compiled:
            self.network.zero_grad()  # a CUDA graph may write its results where these gradients are
        _seed_dropout(seed, self.device)
        batch = with_network_faces(batch)
        if self.augment is not None:
            batch = self.augment(batch, self.generator.manual_seed(seed))
        loss = self._loss(batch, "train")
        world = self.trainer.world_size
        # The processes' gradients are averaged with equal weight: one with a smaller share must count for less.
        return loss if world == 1 else loss * (len(_labels(batch)) * world / self.batch_windows)

    @override
    def validation_step(self, batch: Batch, step: int) -> None:
        if len(_labels(batch)):  # the mean over no window is NaN
            self._loss(with_network_faces(batch), "validation")

    def _loss(self, batch: Batch, side: str) -> Tensor:
        logits = self.forward_of(*batch.inputs_of(self.network)).logits.float()  # (B, K)
        y = _labels(batch)
        loss = self.objective.loss(logits, y)
        with torch.no_grad():
            self.sums[side] += self.objective.sums(logits, y, loss)
        return loss

    @override
    def on_train_epoch_end(self):
        if self.trainer.world_size > 1:
            for sums in self.sums.values():
                torch.distributed.all_reduce(sums)
        means = {side: self.objective.means(s) for side, s in self.sums.items()}
        row = dict(zip(COLUMNS, [self.epochs_done + 1, *means["train"], *means["validation"]], strict=False))
        row["seconds"] = time.perf_counter() - self.epoch_began
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
        if self.training_log is not None and self.trainer.is_global_zero:
            self.training_log.add(row)
        often = self.trainer.world_size == 1 and time.perf_counter() - self.saved < SAVE_EVERY_S  # clocks differ
        if self.work is not None and (self.finished or not often):
            self._save(self.work)
            self.saved = time.perf_counter()

    def _require_finite(self, row: dict[str, Any]) -> None:
        """Raise GbvnetError if a loss of this epoch is not finite: it could not be compared with others."""
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
        """Write history.csv, one row per epoch."""
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
        self.restore(checkpoint["gbvnet"])
        log.info("%sgoing on after epoch %d", self.label, self.epochs_done)

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from the state that a checkpoint holds under `gbvnet`."""
        for name, value in state.items():
            setattr(self, name, value)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints are complete or absent.

    Lightning's own would be written into the system's temporary folder first, which may be small, and where the part
    that a killed process had written stays for ever.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        content = io.BytesIO()
        torch.save(checkpoint, content)
        atomic_write(Path(path), content.getvalue())


def _labels(batch: Batch) -> Tensor:
    """(B, K), of a batch for training or validation."""
    if batch.y is None:
        raise GbvnetError("a batch without labels cannot be trained on")
    return batch.y


def _mix(*numbers: int) -> int:
    """One 63-bit seed from several numbers."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _seed_dropout(seed: int, device: torch.device) -> None:
    """As torch.manual_seed for the one device in use; that one spends milliseconds on devices that do not exist."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)


def _line(row: dict[str, Any]) -> str:
    text = f"epoch {row['epoch']:2d}: loss {row['train_loss']:.3f}{_in_brackets(row['train_accuracy'])}"
    if math.isnan(row["inner_loss"]):
        return text
    return text + f", validation {row['inner_loss']:.3f}{_in_brackets(row['inner_accuracy'])}"


def _in_brackets(accuracy: float) -> str:
    return "" if math.isnan(accuracy) else f" ({accuracy:.1%})"
