"""A network over faces and signals, made for the shape of the store's windows.

gbvnet crossval STORE RUN --system examples/face_and_signals.py:FaceAndSignals
"""

import torch
from torch import nn

from gbvnet.systems.adapters import ModuleSystem


class Network(nn.Module):
    """Convolutions on the mean face and on the signals. (B, C, L), (B, F, 3, S, S) -> (B, K)."""

    def __init__(self, n_channels, n_outputs):
        super().__init__()
        self.of_signals = nn.Sequential(nn.Conv1d(n_channels, 8, 9), nn.ELU(), nn.AdaptiveAvgPool1d(4), nn.Flatten())
        self.of_faces = nn.Sequential(nn.Conv2d(3, 8, 8, 8), nn.ELU(), nn.AdaptiveAvgPool2d(4), nn.Flatten())
        self.head = nn.Linear(8 * 4 + 8 * 16, n_outputs)

    def forward(self, signals, faces):
        parts = [self.of_signals(signals), self.of_faces(faces.mean(dim=1))]
        return self.head(torch.cat(parts, dim=1))


class FaceAndSignals(ModuleSystem):
    """The network above, trained with gbvnet's loop."""

    modalities = ("facebio", "faceeeg", "faceperi")

    def module(self, shape):
        return Network(shape.n_channels, shape.n_outputs)
