"""Augmentation: the same for all frames of a window, reproducible, and equal to kornia's where kornia has it."""

import math

import numpy as np
import pytest
import torch

from gbvnet.config import CrossvalConfig, GBVNetConfig, TrainConfig
from gbvnet.network import augment as a
from gbvnet.network.batches import Batch
from gbvnet.network.model import GBVNet, pixels
from gbvnet.systems.gbvnet import System


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_faces(n=4, frames=3, side=32):
    return pixels(torch.randint(0, 256, (n, frames, side, side, 3), dtype=torch.uint8, generator=generator(9)))


def only(monkeypatch, **chances):
    """Switch off all that is not named: flip, blur, jitter."""
    monkeypatch.setattr(a, "FLIP_CHANCE", chances.get("flip", 0.0))
    monkeypatch.setattr(a, "BLUR_CHANCE", chances.get("blur", 0.0))
    monkeypatch.setattr(a, "JITTER", chances.get("jitter", 0.0))


@pytest.mark.journey  # importing kornia takes seconds
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_blur_and_colours_are_kornias():
    kornia = pytest.importorskip("kornia")
    faces = some_faces(2, 1)
    for sigma in (0.3, 1.0, 2.0):
        expected = kornia.filters.gaussian_blur2d(faces[:, 0], (5, 5), (sigma, sigma), border_type="reflect")
        torch.testing.assert_close(a.gaussian_blur(faces[:, 0], sigma), expected, rtol=1e-5, atol=1e-6)
    one, factor = torch.ones(2), torch.tensor([0.8, 1.2])
    expected = kornia.enhance.adjust_saturation_with_gray_subtraction(faces[:, 0], factor)
    torch.testing.assert_close(a.jitter(faces, one, one, factor)[:, 0], expected, rtol=1e-5, atol=1e-6)
    expected = kornia.enhance.adjust_contrast_with_mean_subtraction(faces[:, 0], factor)
    torch.testing.assert_close(a.jitter(faces, one, factor, one)[:, 0], expected, rtol=1e-5, atol=1e-5)
    expected = kornia.enhance.adjust_brightness_accumulative(faces[:, 0], factor)
    torch.testing.assert_close(a.jitter(faces, factor, one, one)[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_jitter_of_one_pixel_worked_by_hand():
    # One window of two frames of one pixel: mean grey = (grey(first) + grey(second)) / 2 = (0.5 + 0.3) / 2 = 0.4.
    faces = torch.tensor([[[0.5, 0.5, 0.5], [0.3, 0.3, 0.3]]]).view(1, 2, 3, 1, 1)
    factor = {"brightness": torch.tensor([1.2]), "contrast": torch.tensor([0.8]), "saturation": torch.tensor([1.1])}
    out = a.jitter(faces, **factor)
    # brighter: 0.6, 0.36, mean 0.48; less contrast: 0.48 + 0.8 (x - 0.48) = 0.576, 0.384; grey has no saturation.
    assert out[0, 0].flatten().tolist() == pytest.approx([0.576] * 3, rel=1e-5)
    assert out[0, 1].flatten().tolist() == pytest.approx([0.384] * 3, rel=1e-5)


def test_saturation_moves_a_pure_red_away_from_its_grey():
    faces = torch.tensor([0.5, 0.0, 0.0]).view(1, 1, 3, 1, 1)
    one = torch.ones(1)
    out = a.jitter(faces, one, one, torch.tensor([0.8])).flatten()
    grey = 0.299 * 0.5
    assert out.tolist() == pytest.approx([0.8 * 0.5 + 0.2 * grey, 0.2 * grey, 0.2 * grey], rel=1e-5)


def test_what_gets_too_bright_is_cut_to_one():
    faces = torch.full((1, 1, 3, 32, 32), 0.9)
    one = torch.ones(1)
    assert a.jitter(faces, torch.tensor([1.2]), one, one).max() == 1.0


def test_a_blurred_point_is_the_gaussian():
    frame = torch.zeros(1, 3, 9, 9)
    frame[:, :, 4, 4] = 1.0
    row = [math.exp(-(k**2) / 2) for k in (-2, -1, 0, 1, 2)]
    out = a.gaussian_blur(frame, 1.0)[0, 1]
    assert out.sum().item() == pytest.approx(1.0)
    assert out[4, 2:7].tolist() == pytest.approx([w / sum(row) ** 2 for w in row], rel=1e-5)
    assert out[3, 2:7].tolist() == pytest.approx([w * row[1] / sum(row) ** 2 for w in row], rel=1e-5)


def test_all_frames_of_a_window_are_changed_alike_and_windows_are_not():
    faces = some_faces(1, 1).expand(8, 3, -1, -1, -1).contiguous()  # the same frame everywhere
    out = a.augment_faces(faces, generator())
    for window in out:
        assert all(torch.equal(frame, window[0]) for frame in window)
    assert len({tuple(window[0].flatten()[:50].tolist()) for window in out}) == 8


@pytest.mark.journey
def test_only_the_windows_that_the_dice_choose_are_flipped_or_blurred(monkeypatch):
    faces = some_faces(400, 1)
    only(monkeypatch, flip=0.5)
    out = a.augment_faces(faces, generator())
    mirrored = torch.tensor([torch.allclose(o, f.flip(-1), atol=1e-6) for o, f in zip(out, faces, strict=True)])
    same = torch.tensor([torch.allclose(o, f, atol=1e-6) for o, f in zip(out, faces, strict=True)])
    assert (mirrored ^ same).all()
    assert 160 <= mirrored.sum() <= 240
    only(monkeypatch, blur=0.2)
    changed = (a.augment_faces(faces, generator()) - faces).abs().amax((1, 2, 3, 4)) > 1e-6
    assert 50 <= changed.sum() <= 110


def test_jitter_stays_within_a_fifth(monkeypatch):
    only(monkeypatch, jitter=0.2)
    faces = torch.full((500, 1, 3, 1, 1), 0.5)  # grey without contrast: only brightness is left
    factor = a.augment_faces(faces, generator()).flatten(1).mean(1) / 0.5
    assert 0.8 <= factor.min() < 0.81
    assert 1.19 < factor.max() <= 1.2


def test_the_input_is_left_as_it_was_and_the_layout_is_kept():
    faces, signals = some_faces(), torch.randn(4, 2, 64)
    copies = faces.clone(), signals.clone()
    out = a.augment_faces(faces, generator())
    a.augment_signals(signals, torch.ones(2), generator())
    assert torch.equal(faces, copies[0])
    assert torch.equal(signals, copies[1])
    assert out.shape == faces.shape
    assert out[0].is_contiguous(memory_format=torch.channels_last)


def test_randomness_comes_from_the_generator_alone():
    faces, signals, sd = some_faces(), torch.randn(4, 2, 64), torch.ones(2)
    state = torch.get_rng_state()
    first = a.augment_faces(faces, generator(5)), a.augment_signals(signals, sd, generator(5))
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(77)
    again = a.augment_faces(faces, generator(5)), a.augment_signals(signals, sd, generator(5))
    other = a.augment_faces(faces, generator(6)), a.augment_signals(signals, sd, generator(6))
    for x, y, z in zip(first, again, other, strict=True):
        assert torch.equal(x, y)
        assert not torch.equal(x, z)


def test_a_window_is_augmented_the_same_whatever_stands_beside_it():
    faces = some_faces()
    others = faces.clone()
    others[1:] = 0.5
    assert torch.equal(a.augment_faces(faces, generator())[0], a.augment_faces(others, generator())[0])


def test_no_window_makes_no_trouble():
    assert a.augment_faces(torch.zeros(0, 3, 3, 32, 32), generator()).shape == (0, 3, 3, 32, 32)
    assert a.augment_signals(torch.zeros(0, 2, 64), torch.ones(2), generator()).shape == (0, 2, 64)


def test_a_shift_fills_with_the_edge_and_is_at_most_eight_samples(monkeypatch):
    monkeypatch.setattr(a, "SCALE", (1.0, 1.0))
    ramp = torch.arange(64.0).expand(300, 2, 64)
    out = a.augment_signals(ramp, torch.zeros(2), generator())
    shift = out[:, 0, 32] - 32
    assert sorted(set(shift.tolist())) == list(range(-8, 9))
    for window, by in zip(out, shift.tolist(), strict=True):
        expected = [min(max(i + by, 0), 63) for i in range(64)]  # 0 0 0 1 2 .. or .. 62 63 63 63
        assert window.tolist() == [expected, expected]  # all channels alike


def test_the_scale_is_about_the_mean(monkeypatch):
    monkeypatch.setattr(a, "SHIFT", 0)
    signals = torch.tensor([[[1.0], [32.5]]]).repeat(500, 1, 4)  # the second: a temperature
    out = a.augment_signals(signals, torch.zeros(2), generator(), mean=torch.tensor([0.0, 32.0]))
    scale = out[:, 0, 0]
    assert 0.9 <= scale.min() < 0.905
    assert 1.095 < scale.max() <= 1.1
    torch.testing.assert_close(out[:, 1, 0], 32 + 0.5 * scale)
    torch.testing.assert_close(out[..., 0], out[..., 3])  # one factor a window


def test_the_noise_is_a_twentieth_of_each_channels_sd():
    out = a.augment_signals(torch.zeros(200, 2, 128), torch.tensor([1.0, 40.0]), generator())
    assert out.std((0, 2)).tolist() == pytest.approx([0.05, 2.0], rel=0.02)
    assert out[:, 0].mean().item() == pytest.approx(0, abs=0.002)


# ---------------------------------------------------------------- a corrupted modality


def corrupted(share=1.0, n=400, faces=True, signals=True, seed=0):
    """Grey faces and flat signals of 10 channels at their mean + 1 SD, before and after; mean 5, SD 2."""
    before = (
        torch.full((n, 2, 3, 16, 16), 0.9) if faces else None,
        torch.full((n, 10, 32), 7.0) if signals else None,
    )
    return before, a.corrupt(*before, share, torch.full((10,), 5.0), torch.full((10,), 2.0), generator(seed))


def changed(before, after):
    return (before != after).flatten(1).any(1)


def test_noise_takes_a_share_of_the_power_and_keeps_mean_and_sd():
    x = 5 + 2 * np.random.default_rng(0).standard_normal(200_000)
    noise = np.random.default_rng(1).standard_normal(200_000)
    for share in (0.0, 0.25, 1.0):
        out = a.noisy(x, share, 5.0, 2.0, noise)
        assert (out.mean(), out.std()) == pytest.approx((5, 2), rel=0.01)
        assert np.corrcoef(out, x)[0, 1] ** 2 == pytest.approx(1 - share, abs=0.01)
    np.testing.assert_array_equal(a.noisy(x, 0.0, 5.0, 2.0, noise), x)


@pytest.mark.journey
def test_a_share_of_the_windows_loses_one_modality_and_never_both():
    (faces, signals), (f, s) = corrupted(share=0.3, n=2000)
    of_face, of_signals = changed(faces, f), changed(signals, s)
    assert not (of_face & of_signals).any()
    assert 0.12 < of_face.float().mean() < 0.18
    assert 0.12 < of_signals.float().mean() < 0.18
    (faces, signals), (f, s) = corrupted(share=0.0)
    assert torch.equal(f, faces) and torch.equal(s, signals)


def test_where_there_is_one_modality_it_is_that_one():
    (faces, _), (f, s) = corrupted(signals=False)
    assert s is None
    assert changed(faces, f).float().mean() > 0.9  # a square of less than half a pixel covers nothing
    (_, signals), (f, s) = corrupted(faces=False)
    assert f is None
    assert changed(signals, s).float().mean() > 0.9


def test_a_face_is_covered_by_one_plain_square_in_all_frames_alike_or_drowned_in_noise():
    _, (f, _) = corrupted(signals=False)
    plain = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    areas = []
    for window in f:
        covered = (window == plain).all(1)  # (F, S, S)
        if not covered.any():
            continue
        assert torch.equal(covered[0], covered[1])
        rows, columns = covered[0].any(1).nonzero()[:, 0], covered[0].any(0).nonzero()[:, 0]
        assert len(rows) == len(columns) == covered[0].sum() ** 0.5
        assert (window[:, :, ~covered[0]] == 0.9).all()
        areas.append(len(rows) ** 2 / 256)
    assert 0.4 < len(areas) / 400 < 0.6
    assert sum(areas) / len(areas) == pytest.approx(0.5, abs=0.06)  # 0 to 1, evenly
    assert max(areas) > 0.9
    assert f.min() >= 0 and f.max() <= 1


def test_signals_lose_channels_or_are_drowned_in_noise_of_their_own_level():
    _, (_, s) = corrupted(faces=False, n=1000)
    lost = (s == 5).all(2)  # (B, C)
    noise = ((s != 7) & (s != 5)).flatten(1).any(1)
    assert not (noise & lost.any(1)).any()
    assert lost.any(1).float().mean() == pytest.approx(0.45, abs=0.05)
    assert lost[lost.any(1)].float().mean() == pytest.approx(0.55, abs=0.05)
    assert ((s == 7) | (s == 5))[~noise].all()
    # Flat at +1 SD, a share a of noise of SD 2: the mean over a from 0 to 1 of (1 - a) 2^2 + a 2^2 about 5 is 4.
    assert (s[noise] - 5).square().mean().item() == pytest.approx(4, rel=0.1)


def test_what_is_corrupted_follows_from_the_generator_alone_and_nothing_is_changed_in_place():
    (faces, signals), (f, s) = corrupted(seed=3)
    assert (faces == 0.9).all() and (signals == 7).all()
    _, again = corrupted(seed=3)
    _, other = corrupted(seed=4)
    assert torch.equal(f, again[0]) and torch.equal(s, again[1])
    assert not torch.equal(f, other[0]) and not torch.equal(s, other[1])
    assert a.corrupt(None, None, 1.0, torch.zeros(0), torch.zeros(0), generator()) == (None, None)


@pytest.mark.parametrize("modality", ["facebio", "face", "bio"])
def test_a_training_corrupts_its_windows_as_its_settings_say(modality):
    made = System(CrossvalConfig(modality=modality, train=TrainConfig(augment=False, corrupt=0.5)))
    made.network = GBVNet(GBVNetConfig(variant="micro", modality=modality, n_channels=2, n_samples=32, n_frames=2))
    faces = some_faces(64, 2) if "face" in modality else None
    signals = torch.randn(64, 2, 32, generator=generator(1)) if modality != "face" else None
    out = made.augment(Batch(faces, None, signals, None, None), generator())
    hits = [changed(b, o) for b, o in ((faces, out.faces), (signals, out.signals)) if b is not None]
    assert 0.3 < torch.stack(hits).any(0).float().mean() < 0.7
    made.config = CrossvalConfig(modality=modality, train=TrainConfig(augment=False))
    assert made.augment(Batch(faces, None, signals, None, None), generator())[:3] == (faces, None, signals)


@pytest.mark.journey
def test_noise_in_faces_has_the_spectrum_of_pictures():
    white = torch.randn(400, 3, 32, 32, generator=generator())
    noise = a.picture_noise(white)
    assert noise.std().item() == pytest.approx(1, rel=0.03)
    power = (np.abs(np.fft.fft2(noise.numpy())) ** 2).mean(axis=(0, 1))  # numpy's transform, by frequency
    for cycles in (2, 4, 8):
        assert power[0, cycles] / power[0, 1] == pytest.approx(1 / cycles**2, rel=0.15)  # amplitude 1 / frequency
        assert power[cycles, 0] / power[1, 0] == pytest.approx(1 / cycles**2, rel=0.15)
    assert a.picture_noise(torch.randn(2, 3, 33, 33)).shape == (2, 3, 33, 33)
    # Averaged over patches of 8 x 8 pixels it is still strong, where white noise is down to an eighth.
    assert noise.unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2)).std() > 0.5
    assert white.unfold(2, 8, 8).unfold(3, 8, 8).mean((-1, -2)).std() < 0.13


def test_noise_in_a_face_is_one_pattern_for_all_frames():
    _, (f, _) = corrupted(signals=False)
    assert torch.equal(f[:, 0], f[:, 1])
