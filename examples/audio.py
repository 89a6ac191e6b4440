"""A third modality: the sound of the films as log-mel spectra, and GBV-Net with an encoder for it.

gbvnet modality add STORE examples/audio.py:LogMel table /data/mine
gbvnet crossval STORE RUN --system examples/audio.py:GBVNetWithSound
"""

import numpy as np
import torch
from torch import nn

from gbvnet.datasets.sound_track import stimulus_sound
from gbvnet.errors import BadRecording
from gbvnet.network.model import GatedFusion, GBVNet
from gbvnet.systems.learners.neural import NeuralSystem, UngatedOutput, network_config

FRAME_S, HOP_S = 0.025, 0.010  # of a spectrum, and from one to the next
BANDS, LOW_HZ, HIGH_HZ = 40, 50.0, 8000.0
FLOOR = 1e-10  # of the power, below what 16 bits resolve
SOUND_WIDTH = 64  # features of the sound


class LogMel:
    """Log-mel spectra: the log of the mean power in 40 bands, equally wide in mel, of frames of 25 ms."""

    name = "log_mel"

    def shape(self, window_s):
        return 1 + int((window_s - FRAME_S) / HOP_S + 1e-9), BANDS

    def read(self, recording, starts_s, window_s):
        sound = stimulus_sound(recording)
        if sound is None:
            return None
        rate = sound.rate_hz
        if rate < 2 * HIGH_HZ:
            raise BadRecording(recording.video, f"sound of {2 * HIGH_HZ:g} Hz or more", f"{rate} Hz")
        n_frames, length = self.shape(window_s)[0], round(FRAME_S * rate)
        weights, taper = mel_weights(length, rate), np.hanning(length + 1)[:-1]
        spectra = np.full((len(starts_s), n_frames, BANDS), np.nan, np.float32)
        for window, start_s in zip(spectra, starts_s, strict=True):
            first = round(start_s * rate)
            if not np.isfinite(sound.samples[first : first + round(window_s * rate)]).all():
                continue  # before the sound begins, after its end, or in a gap
            at = first + np.round(np.arange(n_frames) * HOP_S * rate).astype(int)[:, None] + np.arange(length)
            at = np.minimum(at, len(sound.samples) - 1)  # where rounding puts a frame's end behind the stimulus
            power = np.abs(np.fft.rfft(sound.samples[at] * taper)) ** 2 / taper.sum() ** 2
            window[:] = np.log(power @ weights + FLOOR)
        return spectra


def mel_weights(length, rate):
    """Triangles between neighbouring points of the mel scale, (length // 2 + 1, 40)."""
    low, high = (2595 * np.log10(1 + hz / 700) for hz in (LOW_HZ, HIGH_HZ))
    edges = 700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1)
    hz = np.fft.rfftfreq(length, 1 / rate)[:, None]
    rising = (hz - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - hz) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


class SoundEncoder(nn.Module):
    """Two convolutions over time and their mean. (B, T, M) -> (B, 64)."""

    def __init__(self, bands):
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(bands), nn.Conv1d(bands, 32, 5, 2, 2), nn.ReLU(), nn.Conv1d(32, 32, 5, 2, 2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(32, SOUND_WIDTH),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x.transpose(1, 2))


class Network(GBVNet):
    """GBV-Net whose gate sees the features of the sound, too; an embedding is in their place where there is none."""

    def __init__(self, config, bands):
        super().__init__(config)
        self.sound = SoundEncoder(bands)
        self.missing_sound = nn.Parameter(torch.zeros(SOUND_WIDTH))
        width = self.head[0].in_features + SOUND_WIDTH
        self.fusion = GatedFusion(width)
        self.head[0] = nn.Linear(width, self.head[0].out_features)

    def forward(self, faces, face_ok, signals, has_face, has_signals, sound, has_sound):
        features = self.features(faces, face_ok, signals, has_face, has_signals)
        encoded = self.missing_sound.expand(len(sound), -1)
        if has_sound.any():
            of_sound = self.sound(sound[has_sound])  # the others would change the batch norm
            encoded = encoded.masked_scatter(has_sound[:, None], of_sound)
        if self.training:  # as the other modalities are hidden, so that the embedding is learnt
            hidden = torch.rand(len(sound), 1, device=sound.device) < self.config.modality_dropout
            encoded = torch.where(hidden, self.missing_sound, encoded)
        fused, _ = self.fusion(*features, encoded)
        return UngatedOutput.of(self.head(fused))


class GBVNetWithSound(NeuralSystem):
    """The network above, trained with gbvnet's loop. A window may lack its sound."""

    further_modalities = ("log_mel",)

    def build(self, shape):
        return Network(network_config(self.config, shape), shape.further["log_mel"][1])
