"""A small convolutional network with braindecode's signature, which knows nothing of gbvnet.

gbvnet crossval STORE RUN --system examples/conv_net.py:ConvNet --modality bio --options.n_filters 16
"""

import torch
from torch import nn


class ConvNet(nn.Module):
    """The log power of learnt filters, as in Schirrmeister et al. 2017. (B, n_chans, n_times) -> (B, n_outputs)."""

    def __init__(self, n_chans, n_times, n_outputs, sfreq, n_filters=8):
        super().__init__()
        self.filters = nn.Conv1d(n_chans, n_filters, max(1, round(sfreq / 5)), bias=False)
        self.norm = nn.BatchNorm1d(n_filters)
        self.head = nn.Linear(n_filters, n_outputs)

    def forward(self, x):
        power = self.norm(self.filters(x)).square().mean(dim=2)
        return self.head(torch.log(power + 1e-6))
