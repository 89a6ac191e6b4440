"""Augmentation of training windows, on the tensors a network reads.

The paper (section 4.1) names flipping, colour jittering and Gaussian blur for faces, additive noise, temporal shift and
amplitude scaling for signals, and gives no strength; the strengths here are ours (docs/method.md). Each window draws
its own parameters, and all its frames and channels share them: a change of light or of pose within a window would be
an expression that nobody made.

`corrupt` is no augmentation of the paper's: it spoils one modality of a window, so that a gate can learn whom to trust.

All randomness comes from the generator that is passed, which must be on the tensors' device. Nothing is changed in
place. Shapes: B windows, F frames a window, S face side, C channels, L samples a window.
"""

import math
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .model import IMAGENET_MEAN, IMAGENET_SD

T = TypeVar("T", Tensor, np.ndarray)

FLIP_CHANCE, BLUR_CHANCE = 0.5, 0.2
JITTER = 0.2  # brightness, contrast and saturation are each multiplied by 0.8 to 1.2
BLUR_SIDE = 5  # pixels of the kernel
BLUR_SIGMA = (0.1, 2.0)  # pixels
GRAY = (0.299, 0.587, 0.114)  # luma of RGB, ITU-R BT.601
NOISE_SD = 0.05  # of each channel's SD
SHIFT = 8  # samples, at most
SCALE = (0.9, 1.1)


def augment_faces(faces: Tensor, generator: torch.Generator) -> Tensor:
    """Flip, jitter and blur: (B, F, 3, S, S) floats in [0, 1], in and out."""
    flip, blur, brightness, contrast, saturation, sigma = torch.rand(
        6, len(faces), generator=generator, device=faces.device
    )  # each (B,), in [0, 1): as many draws whatever they decide, so that windows do not depend on one another
    out = jitter(faces, *(1 + JITTER * (2 * u - 1) for u in (brightness, contrast, saturation)))
    flipped, blurred = flip < FLIP_CHANCE, (blur < BLUR_CHANCE).nonzero()[:, 0]
    out[flipped] = out[flipped].flip(-1)
    low, high = BLUR_SIGMA
    for window, pixels in zip(blurred.tolist(), (low + (high - low) * sigma[blurred]).tolist(), strict=True):
        out[window] = gaussian_blur(out[window], pixels)
    return out


def jitter(faces: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Change brightness, then contrast about the window's mean grey, then saturation about each pixel's grey.

    faces: (B, F, 3, S, S) in [0, 1]. Factors: (B,), 1 changes nothing, 0 gives black, plain grey, grey tones.
    One affine map of colours a window does all three, X' = A X + t, and its result is cut to [0, 1] at the end.
    """
    luma = torch.tensor(GRAY, dtype=faces.dtype, device=faces.device)
    last = faces.movedim(2, 4)  # (B, F, S, S, 3), which is how stored faces lie in memory
    mean_grey = last.mean((1, 2, 3)) @ luma * brightness  # (B,)
    offset = mean_grey * (1 - contrast)  # (B,): t, the same for red, green and blue
    gain, s = brightness * contrast, saturation[:, None, None]
    colour = gain[:, None, None] * (s * torch.eye(3, device=faces.device) + (1 - s) * luma)  # (B, 3, 3): A
    # A product with a 3 x 3 matrix is too thin to be fast: eight pixels at a time make it 24 x 24, and the same.
    n_pixels = math.prod(last.shape[1:4])  # of a window
    several = math.gcd(8, n_pixels)
    matrix = torch.einsum("ij,boc->bicjo", torch.eye(several, device=faces.device), colour)  # block-diagonal A^T
    with torch.autocast(faces.device.type, enabled=False):  # eight bits of a pixel do not fit into those of bf16
        rows = last.reshape(len(faces), n_pixels // several, 3 * several)
        out = torch.baddbmm(offset[:, None, None], rows, matrix.reshape(-1, 3 * several, 3 * several))
    return out.clamp_(0, 1).view(last.shape).movedim(4, 2)


def gaussian_blur(frames: Tensor, sigma: float) -> Tensor:
    """A Gaussian blur of 5 x 5 pixels, borders mirrored: frames (F, 3, S, S), sigma in pixels."""
    half = BLUR_SIDE // 2
    offsets = torch.arange(-half, half + 1, device=frames.device, dtype=frames.dtype)
    weights = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)  # (5,), sum 1
    padded = F.pad(frames, (half, half, half, half), mode="reflect")  # (F, 3, S + 4, S + 4)
    down = F.conv2d(padded, weights.view(1, 1, -1, 1).repeat(3, 1, 1, 1), groups=3)  # (F, 3, S, S + 4)
    return F.conv2d(down, weights.view(1, 1, 1, -1).repeat(3, 1, 1, 1), groups=3)  # (F, 3, S, S)


def augment_signals(signals: Tensor, sd: Tensor, generator: torch.Generator, mean: Tensor | float = 0.0) -> Tensor:
    """Shift, scale and add noise: (B, C, L), in and out, in the channels' own units.

    sd: (C,) of the training windows, the measure of the noise. mean: (C,) or a number, the level about which
    amplitudes are scaled: without it a temperature of 32 degrees would be scaled with its offset.
    """
    batch, _, length = signals.shape
    device = signals.device
    shift = torch.randint(-SHIFT, SHIFT + 1, (batch, 1), generator=generator, device=device)
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * torch.rand(batch, 1, 1, generator=generator, device=device)
    noise = torch.randn(signals.shape, generator=generator, device=device, dtype=signals.dtype)
    # The edge sample fills the place of those that a shift would need from outside the window.
    index = (torch.arange(length, device=device) + shift).clamp_(0, length - 1)  # (B, L)
    shifted = signals.gather(2, index[:, None].expand_as(signals))
    mean = mean[:, None] if isinstance(mean, Tensor) else mean  # (C, 1)
    return torch.addcmul(mean + (shifted - mean) * scale, noise, NOISE_SD * sd[:, None])


def noisy(x: T, share: T | float, mean: T | float, sd: T | float, noise: T) -> T:
    """x with noise in place of a `share` of its power: all of x at 0, nothing of x at 1.

    About `mean`, x is scaled by sqrt(1 - share) and noise of `sd` by sqrt(share): what has that mean and SD keeps them
    at every share, so that it is not the loudness that tells how much is noise. Tensors or arrays of shapes that
    broadcast.
    """
    return mean + (1 - share) ** 0.5 * (x - mean) + share**0.5 * sd * noise


def picture_noise(white: Tensor) -> Tensor:
    """White noise (n, 3, S, S) of SD 1 -> noise of SD 1 with the spectrum of natural pictures, amplitude 1 / frequency.

    White noise drowns the fine detail of a face and leaves what is coarse, as a mean over pixels is nearly free of it.
    Pictures have their power in the coarse (Field 1987), so that a share of this noise is about that share at every
    scale.
    """
    side = white.shape[-1]
    along, across = torch.fft.fftfreq(side, 1 / side), torch.fft.rfftfreq(side, 1 / side)  # cycles a picture
    amplitude = 1 / (along[:, None] ** 2 + across**2).sqrt().clamp(min=1)  # (S, S/2 + 1); the mean as the coarsest wave
    full = 1 / (along[:, None] ** 2 + along**2).sqrt().clamp(min=1)  # (S, S)
    amplitude = (amplitude / full.square().mean().sqrt()).to(white.device)
    return torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(side, side))


def corrupt(
    faces: Tensor | None, signals: Tensor | None, share: float, mean: Tensor, sd: Tensor, generator: torch.Generator
) -> tuple[Tensor | None, Tensor | None]:
    """Spoil the face or the signals of a share of the windows: (B, F, 3, S, S) in [0, 1] and (B, C, L), in and out.

    Which of the two is tossed up; where one is None it is always the other. At even chance it gets noise mixed in
    (`noisy`, of the mean and SD that the network normalises with; the face's is `picture_noise`), or a part of it is
    covered: a square of the face, in all frames alike, or some of the channels. How much, of power, of area or of
    channels, is drawn evenly from 0 to 1.

    mean, sd : (C,) of the training windows; not looked at where signals are None
    """
    some = faces if faces is not None else signals
    if some is None:
        return None, None
    spoilt, which, how, strength, right, down = torch.rand(6, len(some), generator=generator, device=some.device)
    of_face = which < (0.5 if signals is not None else 1.0) if faces is not None else which < 0
    noise, cover = (spoilt < share) & (how < 0.5), (spoilt < share) & (how >= 0.5)
    if faces is not None:
        faces = _noisy_faces(faces, strength, noise & of_face, generator)
        faces = _covered_faces(faces, strength, right, down, cover & of_face)
    if signals is not None:
        signals = _noisy_signals(signals, strength, noise & ~of_face, mean, sd, generator)
        lost = torch.rand(signals.shape[:2], generator=generator, device=signals.device) < strength[:, None]  # (B, C)
        lost &= (cover & ~of_face)[:, None]
        signals = torch.where(lost[..., None], mean[:, None], signals)
    return faces, signals


def _noisy_faces(faces: Tensor, strength: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """strength (B,) of noise in the windows `chosen` (B,) bool."""
    at = chosen.nonzero()[:, 0]
    if not len(at):  # no Fourier transform is made of nothing
        return faces
    centre, sd = (faces.new_tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_SD))
    # One pattern a window: what is drawn anew in each frame is gone in the mean over frames.
    white = torch.randn((len(at), *faces.shape[2:]), generator=generator, device=faces.device, dtype=faces.dtype)
    out = faces.clone()
    out[at] = noisy(faces[at], strength[at].view(-1, 1, 1, 1, 1), centre, sd, picture_noise(white)[:, None]).clamp_(
        0, 1
    )
    return out


def _covered_faces(faces: Tensor, strength: Tensor, right: Tensor, down: Tensor, chosen: Tensor) -> Tensor:
    """A plain square over a share `strength` of the face; right, down (B,) in 0..1 say where."""
    side = faces.shape[-1]
    wide = (strength.sqrt() * side).round()  # (B,) pixels
    at = torch.arange(side, device=faces.device)
    across, along = (
        (at >= (u * (side - wide)).round()[:, None]) & (at < ((u * (side - wide)).round() + wide)[:, None])
        for u in (right, down)
    )  # (B, S) each
    square = along[:, :, None] & across[:, None, :] & chosen[:, None, None]  # (B, S, S)
    return torch.where(square[:, None, None], faces.new_tensor(IMAGENET_MEAN).view(3, 1, 1), faces)


def _noisy_signals(
    signals: Tensor, strength: Tensor, chosen: Tensor, mean: Tensor, sd: Tensor, generator: torch.Generator
) -> Tensor:
    noise = torch.randn(signals.shape, generator=generator, device=signals.device, dtype=signals.dtype)
    spoilt = noisy(signals, strength[:, None, None], mean[:, None], sd[:, None], noise)
    return torch.where(chosen[:, None, None], spoilt, signals)
