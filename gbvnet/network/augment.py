"""Augmentation of training windows, on the tensors that a network reads.

The paper (section 4.1) names flipping, colour jittering and Gaussian blur for faces, additive noise, temporal shift and
amplitude scaling for signals, and gives no strength; the strengths are implementation choices (docs/method.md).
Each window has its own random parameters, which all its frames and channels share: a change of light or pose within a
window would look like an expression.

`corrupt` is not in the paper: it corrupts one modality of a window, so that a gate learns to weight modalities by their
quality.

All randomness comes from the generator that is passed, which must be on the tensors' device. Nothing is changed in
place. Shapes: B windows, F frames per window, S face side, C channels, L samples per window.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .compiling import compiled_in_training
from .devices import is_asynchronous
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
    """Return faces after a random flip, jitter and blur: (B, F, 3, S, S) floats in [0, 1], in and out."""
    # (6, B), in [0, 1): always as many random numbers, so that windows do not depend on one another
    drawn = torch.rand(6, len(faces), generator=generator, device=faces.device)
    if is_asynchronous(faces.device):
        return _changed_at_once(faces, drawn)
    return _changed(faces, drawn, flip_and_blur_some)


def _changed(faces: Tensor, drawn: Tensor, flip_and_blur: Callable[..., Tensor]) -> Tensor:
    """Faces after the changes that the random numbers (6, B) say."""
    flip, blur, brightness, contrast, saturation, sigma = drawn
    out = jitter(faces, *(1 + JITTER * (2 * u - 1) for u in (brightness, contrast, saturation)))
    low, high = BLUR_SIGMA
    return flip_and_blur(out, flip < FLIP_CHANCE, blur < BLUR_CHANCE, low + (high - low) * sigma)


@compiled_in_training
def _changed_at_once(faces: Tensor, drawn: Tensor) -> Tensor:
    return _changed(faces, drawn, flip_and_blur_all)


def flip_and_blur_some(faces: Tensor, flipped: Tensor, blurred: Tensor, sigma: Tensor) -> Tensor:
    """Flip and blur the chosen windows in place, one by one: faces (B, F, 3, S, S), choices (B,) bool, sigma (B,) in
    pixels."""
    some = blurred.nonzero()[:, 0]
    faces[flipped] = faces[flipped].flip(-1)
    for window, pixels in zip(some.tolist(), sigma[some].tolist(), strict=True):
        faces[window] = gaussian_blur(faces[window], pixels)
    return faces


def flip_and_blur_all(faces: Tensor, flipped: Tensor, blurred: Tensor, sigma: Tensor) -> Tensor:
    """Return the same for a device that computes while the host goes on: every window is computed, so that the host
    need not know which are chosen. A window that is not blurred has the kernel 0 0 1 0 0, which changes no pixel.
    Shapes are those of `flip_and_blur_some`: faces (B, F, 3, S, S), the others (B,).
    """
    half, (n, frames, _, side, _) = BLUR_SIDE // 2, faces.shape
    out = torch.where(flipped.view(-1, 1, 1, 1, 1), faces.flip(-1), faces)
    offsets = torch.arange(-half, half + 1, device=faces.device, dtype=faces.dtype)
    kernel = torch.softmax(-(offsets**2) / (2 * sigma[:, None] ** 2), dim=1)  # (B, 5)
    kernel = torch.where(blurred[:, None], kernel, (offsets == 0).to(kernel.dtype))
    padded = F.pad(out.flatten(0, 1), (half, half, half, half), mode="reflect").unflatten(0, (n, frames))
    weights = kernel.T[..., None, None, None, None]  # (5, B, 1, 1, 1, 1)
    down = sum(weights[k] * padded.narrow(3, k, side) for k in range(BLUR_SIDE))  # (B, F, 3, S, S + 4)
    return sum(weights[k] * down.narrow(4, k, side) for k in range(BLUR_SIDE))


def jitter(faces: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor) -> Tensor:
    """Return faces with brightness, then contrast about the window's mean grey, then saturation changed.

    faces: (B, F, 3, S, S) in [0, 1]. Factors: (B,), 1 changes nothing, 0 gives black, uniform grey, grey tones.
    All three are one affine map of colours per window, X' = A X + t; its result is clipped to [0, 1] at the end.
    """
    luma = torch.tensor(GRAY, dtype=faces.dtype, device=faces.device)
    last = faces.movedim(2, 4)  # (B, F, S, S, 3), the memory layout of stored faces
    mean_grey = last.mean((1, 2, 3)) @ luma * brightness  # (B,)
    offset = mean_grey * (1 - contrast)  # (B,): t, the same for red, green and blue
    gain, s = brightness * contrast, saturation[:, None, None]
    colour = gain[:, None, None] * (s * torch.eye(3, device=faces.device) + (1 - s) * luma)  # (B, 3, 3): A
    # A product with a 3 x 3 matrix is slow: eight pixels at a time make it 24 x 24, with the same result.
    n_pixels = math.prod(last.shape[1:4])  # of a window
    several = math.gcd(8, n_pixels)
    matrix = torch.einsum("ij,boc->bicjo", torch.eye(several, device=faces.device), colour)  # block-diagonal A^T
    with torch.autocast(faces.device.type, enabled=False):  # bf16 has fewer digits than a pixel of eight bits
        rows = last.reshape(len(faces), n_pixels // several, 3 * several)
        out = torch.baddbmm(offset[:, None, None], rows, matrix.reshape(-1, 3 * several, 3 * several))
    return out.clamp_(0, 1).view(last.shape).movedim(4, 2)


def gaussian_blur(frames: Tensor, sigma: float) -> Tensor:
    """Return frames after a Gaussian blur of 5 x 5 pixels, borders mirrored: frames (F, 3, S, S), sigma in pixels."""
    half = BLUR_SIDE // 2
    offsets = torch.arange(-half, half + 1, device=frames.device, dtype=frames.dtype)
    weights = torch.softmax(-(offsets**2) / (2 * sigma**2), dim=0)  # (5,), sum 1
    padded = F.pad(frames, (half, half, half, half), mode="reflect")  # (F, 3, S + 4, S + 4)
    down = F.conv2d(padded, weights.view(1, 1, -1, 1).repeat(3, 1, 1, 1), groups=3)  # (F, 3, S, S + 4)
    return F.conv2d(down, weights.view(1, 1, 1, -1).repeat(3, 1, 1, 1), groups=3)  # (F, 3, S, S)


def augment_signals(signals: Tensor, sd: Tensor, generator: torch.Generator, mean: Tensor | float = 0.0) -> Tensor:
    """Return signals after a random shift, scaling and noise: (B, C, L), in and out, in the channels' own units.

    sd: (C,) of the training windows, the unit of the noise. mean: (C,) or a number, the level about which
    amplitudes are scaled: without it a temperature of 32 degrees would be scaled with its offset.
    """
    batch, _, length = signals.shape
    device = signals.device
    shift = torch.randint(-SHIFT, SHIFT + 1, (batch, 1), generator=generator, device=device)
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * torch.rand(batch, 1, 1, generator=generator, device=device)
    noise = torch.randn(signals.shape, generator=generator, device=device, dtype=signals.dtype)
    # The edge sample replaces those that a shift would need from outside the window.
    index = (torch.arange(length, device=device) + shift).clamp_(0, length - 1)  # (B, L)
    shifted = signals.gather(2, index[:, None].expand_as(signals))
    mean = mean[:, None] if isinstance(mean, Tensor) else mean  # (C, 1)
    return torch.addcmul(mean + (shifted - mean) * scale, noise, NOISE_SD * sd[:, None])


def noisy(x: T, share: T | float, mean: T | float, sd: T | float, noise: T) -> T:
    """Return x with noise in place of a fraction `share` of its power: x itself at 0, noise only at 1.

    About `mean`, x is scaled by sqrt(1 - share) and noise of `sd` by sqrt(share), so that the mean and SD are the same
    at every share and the amplitude does not show how much is noise. Tensors or arrays of shapes that broadcast.
    """
    return mean + (1 - share) ** 0.5 * (x - mean) + share**0.5 * sd * noise


def picture_noise(white: Tensor) -> Tensor:
    """Return white noise (n, 3, S, S) of SD 1 with the spectrum of natural images, amplitude 1 / frequency, SD 1.

    White noise hides the fine detail of a face but not its coarse structure, as it averages out over pixels. Natural
    images have their power at low frequencies (Field 1987), so that a fraction of this noise is about the same fraction
    at every scale.
    """
    side = white.shape[-1]
    along, across = torch.fft.fftfreq(side, 1 / side), torch.fft.rfftfreq(side, 1 / side)  # cycles per image
    amplitude = 1 / (along[:, None] ** 2 + across**2).sqrt().clamp(
        min=1
    )  # (S, S/2 + 1); the mean counts as frequency 1
    full = 1 / (along[:, None] ** 2 + along**2).sqrt().clamp(min=1)  # (S, S)
    amplitude = (amplitude / full.square().mean().sqrt()).to(white.device)
    return torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(side, side))


def corrupt(
    faces: Tensor | None,
    signals: Tensor | None,
    share: float,
    mean: Tensor,
    sd: Tensor,
    generator: torch.Generator,
    face_scale: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor | None, Tensor | None]:
    """Return faces (B, F, 3, S, S) in [0, 1] and signals (B, C, L), one of them corrupted in a share of the windows.

    Face or signals are chosen with equal probability; if one is None it is always the other. With equal probability
    noise is mixed in (`noisy`, of the mean and SD by which the network normalises; `picture_noise` for the face), or a
    part is covered: a square of the face, the same in all frames, or some of the channels. The strength, a fraction of
    power, area or channels, is uniform in [0, 1).

    Of face features (B, F, D) a part is some of the features, in all frames; their noise is the same in all frames.

    mean, sd : (C,) of the training windows; not used if signals are None
    face_scale : mean and SD of face features in the training frames, (D,) each; None for pictures
    """
    some = faces if faces is not None else signals
    if some is None:
        return None, None
    chosen, which, how, strength, right, down = torch.rand(6, len(some), generator=generator, device=some.device)
    of_face = which < (0.5 if signals is not None else 1.0) if faces is not None else which < 0
    noise, cover = (chosen < share) & (how < 0.5), (chosen < share) & (how >= 0.5)
    if faces is not None and face_scale is not None:
        faces = _corrupted_features(faces, strength, (noise & of_face, cover & of_face), face_scale, generator)
    elif faces is not None:
        faces = _noisy_faces(faces, strength, noise & of_face, generator)
        faces = _covered_faces(faces, strength, right, down, cover & of_face)
    if signals is not None:
        signals = _noisy_signals(signals, strength, noise & ~of_face, mean, sd, generator)
        lost = torch.rand(signals.shape[:2], generator=generator, device=signals.device) < strength[:, None]  # (B, C)
        lost &= (cover & ~of_face)[:, None]
        signals = torch.where(lost[..., None], mean[:, None], signals)
    return faces, signals


def _noisy_faces(faces: Tensor, strength: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Faces with noise of `strength` (B,) in the windows `chosen` (B,) bool."""
    if is_asynchronous(faces.device):
        return noisy_everywhere(faces, strength, chosen, generator)
    at = chosen.nonzero()[:, 0]
    if not len(at):  # a Fourier transform of no window is an error
        return faces
    centre, sd = (faces.new_tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_SD))
    # One pattern per window: another in each frame would average out in the mean over frames.
    white = torch.randn((len(at), *faces.shape[2:]), generator=generator, device=faces.device, dtype=faces.dtype)
    out = faces.clone()
    out[at] = noisy(faces[at], strength[at].view(-1, 1, 1, 1, 1), centre, sd, picture_noise(white)[:, None]).clamp_(
        0, 1
    )
    return out


def noisy_everywhere(faces: Tensor, strength: Tensor, chosen: Tensor, generator: torch.Generator) -> Tensor:
    """Return faces (B, F, 3, S, S) with noise in the chosen windows (B,) bool; the noise of the others is computed too
    and not used, so that the host need not know which are chosen. Its random numbers are others than those of a CPU, as
    is the generator."""
    centre, sd = (faces.new_tensor(c).view(3, 1, 1) for c in (IMAGENET_MEAN, IMAGENET_SD))
    shape = (len(faces), *faces.shape[2:])
    white = torch.randn(shape, generator=generator, device=faces.device, dtype=faces.dtype)
    mixed = noisy(faces, strength.view(-1, 1, 1, 1, 1), centre, sd, picture_noise(white)[:, None])
    return torch.where(chosen.view(-1, 1, 1, 1, 1), mixed.clamp_(0, 1), faces)


def _corrupted_features(
    faces: Tensor,
    strength: Tensor,
    chosen: tuple[Tensor, Tensor],
    scale: tuple[Tensor, Tensor],
    generator: torch.Generator,
) -> Tensor:
    """Face features (B, F, D) with noise in the first of the `chosen` windows (B,) bool, and with some features at
    their mean in the second."""
    (of_noise, of_cover), (mean, sd) = chosen, scale
    shape = (len(faces), 1, faces.shape[2])
    noise = torch.randn(shape, generator=generator, device=faces.device, dtype=faces.dtype)
    lost = torch.rand(shape, generator=generator, device=faces.device) < strength[:, None, None]
    mixed = noisy(faces, strength[:, None, None], mean, sd, noise)
    faces = torch.where(of_noise[:, None, None], mixed, faces)
    return torch.where(lost & of_cover[:, None, None], mean, faces)


def _covered_faces(faces: Tensor, strength: Tensor, right: Tensor, down: Tensor, chosen: Tensor) -> Tensor:
    """Faces with a uniform square over a fraction `strength` of the area, at position right, down (B,) in [0, 1)."""
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
    corrupted = noisy(signals, strength[:, None, None], mean[:, None], sd[:, None], noise)
    return torch.where(chosen[:, None, None], corrupted, signals)
