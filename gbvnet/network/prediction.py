"""Predictions of a trained network."""

import numpy as np
import torch
from torch import Tensor, nn

from ..config import TrainConfig
from .batches import BatchSource, with_network_faces
from .devices import precision_of

PREDICT_BATCH = 256  # windows


@torch.inference_mode()
def predict_network(
    network: nn.Module, windows: BatchSource, config: TrainConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return logits (n, K) and the mean gates of face and signals, (n,) each (NaN where there is none), as float64."""
    device = windows.device
    bf16 = precision_of(config, device) == "bf16-mixed"
    network = network.to(device).eval()
    columns: list[list[Tensor]] = [[], [], []]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for batch in windows.in_order(PREDICT_BATCH):
            output = network(*with_network_faces(batch).inputs_of(network))
            for column, value in zip(columns, (output.logits, output.gate_face, output.gate_bio), strict=True):
                column.append(value.float())
    network.to("cpu")
    logits, face, bio = (torch.cat(column).double().cpu().numpy() for column in columns)
    return logits, face, bio
