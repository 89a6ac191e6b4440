"""A synthetic face: one public-domain portrait, warped into expressions that real face detectors read.

The portrait is of Rear Admiral Grace Hopper (US Navy, public domain) as matplotlib ships it. Everything is drawn in two
remaps a frame: expressions on the face in the portrait's own coordinates, then the head's motion into the video frame.

Shapes, here and in every comment below:
    T  frames of a trial        K  movements that a drawing is the sum of
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

FPS = 50
WIDTH, HEIGHT = 720, 576  # of a DEAP video, pixels

# Where things are in the portrait, pixels of its 512 x 600; read off MediaPipe's landmarks on it.
MOUTH = np.array([268.0, 279.0])
CHIN = np.array([268.0, 335.0])
MOUTH_CORNERS = np.array([[234.0, 279.0], [303.0, 277.0]])
EYES = np.array([[227.0, 191.0], [306.0, 187.0]])
BROWS = np.array([[214.0, 166.0], [240.0, 168.0], [286.0, 165.0], [321.0, 160.0]])
JAW = np.array([[188.0, 274.0], [345.0, 265.0]])
FACE_CENTRE = np.array([267.0, 215.0])
FACE_BOX = (slice(136, 360), slice(160, 376))  # rows, columns that expressions may move
HEAD_BOX = (slice(36, 476), slice(170, 550))  # rows, columns of the frame that head motion may move

EXPRESSIONS = ("smile", "brows", "lids", "jaw")
# Pixels of the portrait at full strength (lids: share of the eye's height). A corner lifted by 14 px is a plain smile
# to MediaPipe (mouthSmile 0.73); more than 16 folds the cheek over.
SMILE_PX, BROWS_PX, LIDS_SHARE, JAW_PX = 15.0, 7.0, 0.6, 12.0


@dataclass(frozen=True)
class Acting:
    """The movements of a face during a trial; one row per frame in each array.

    expressions : (T, 4), columns as EXPRESSIONS, in the units above
    blink : (T,), 0 open to 1 shut
    head : (T, 4), right and down in pixels, turn in radians, growth as a share
    """

    expressions: np.ndarray
    blink: np.ndarray
    head: np.ndarray


def act_trial(
    valence: float | np.ndarray,
    arousal: float,
    seconds: int,
    blinks_s: np.ndarray,
    rng: np.random.Generator,
    mouth_only: bool = False,
) -> Acting:
    """Return the movements for evidence of valence and arousal (-1 to 1 at effect 1, 0: none), plus random movements.

    valence : mouth corners up or down; a number, or one for each frame (T,)
    arousal : raised brows, wide eyes and an open mouth, or the contrary
    blinks_s : times of the blinks, seconds
    mouth_only : brows and lids do not move; only the mouth shows the evidence
    """
    n_frames = seconds * FPS
    time_s = np.arange(n_frames) / FPS
    sway = smooth_noise(n_frames, 4, 2.0, rng)  # (T, 4)
    idle = 0.12 * smooth_noise(n_frames, 2, 1.0, rng)  # small movements without a meaning
    valence_t = valence * (1 + 0.2 * np.tanh(smooth_noise(n_frames, 1, 1.5, rng)[:, 0])) + idle[:, 0]
    arousal_t = arousal * (1 + 0.2 * np.tanh(smooth_noise(n_frames, 1, 1.5, rng)[:, 0])) + idle[:, 1]
    expressions = np.stack(
        [
            SMILE_PX * np.clip(valence_t, -1.15, 1.15),
            BROWS_PX * np.clip(arousal_t, -1.15, 1.15),
            LIDS_SHARE * np.clip(arousal_t, -1.15, 1.15),
            JAW_PX * np.clip(arousal_t, 0, 1.1),
        ],
        axis=1,
    )
    if mouth_only:
        expressions[:, [EXPRESSIONS.index("brows"), EXPRESSIONS.index("lids")]] = 0
    blink = np.exp(-(((time_s[:, None] - blinks_s) / 0.07) ** 2)).max(axis=1, initial=0.0)  # about 0.15 s shut
    pose = rng.normal(0, [4, 3, 0.02, 0.01])  # position of the head in this trial
    return Acting(expressions, blink, pose + sway * [3, 2, 0.02, 0.008])


def smooth_noise(n: int, columns: int, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Return (n, columns) smooth noise of SD about 1: random knots every `seconds`, a cubic between them."""
    n_knots = int(np.ceil(n / FPS / seconds)) + 3
    knots = rng.standard_normal((n_knots, columns))
    at = np.linspace(1, n_knots - 2, n)
    whole = np.minimum(at.astype(int), n_knots - 3)
    x = (at - whole)[:, None]
    before, here, after, beyond = (knots[whole + i] for i in (-1, 0, 1, 2))
    return here + 0.5 * x * (
        after - before + x * (2 * before - 5 * here + 4 * after - beyond + x * (3 * (here - after) + beyond - before))
    )


class Face:
    """The face of one subject: the portrait with its own constant shape, colours, background and camera."""

    def __init__(self, rng: np.random.Generator) -> None:
        picture = _reshape(portrait(), rng)
        picture = _recolour(picture, rng)
        blur_px = rng.uniform(0, 1.1)
        self.picture = cv2.GaussianBlur(picture, (0, 0), blur_px) if blur_px > 0.3 else picture  # (600, 512, 3), 0..255
        self._aim_camera(rng)

    def _aim_camera(self, rng: np.random.Generator) -> None:
        """Compute the position of each frame pixel in the portrait, and how head motion shifts it."""
        scale = rng.uniform(0.88, 1.08)
        across, down = scale * rng.uniform(0.94, 1.06), scale * rng.uniform(0.96, 1.04)
        centre = np.array([WIDTH / 2, 0.43 * HEIGHT]) + rng.uniform(-20, 20, 2)  # of the face, in the frame
        y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
        self.frame_map = np.stack([(x - centre[0]) / across, (y - centre[1]) / down], axis=-1) + FACE_CENTRE
        self.frame_map = self.frame_map.astype(np.float32)  # (HEIGHT, WIDTH, 2)
        right, below = x[HEAD_BOX] - centre[0], y[HEAD_BOX] - centre[1]
        hold = _fade(right / 170) * _fade(below / 200)  # 1 on the face, 0 at the border of the box
        zero = np.zeros_like(hold)
        moves = [(hold, zero), (zero, hold), (-below * hold, right * hold), (right * hold, below * hold)]
        self.head_moves = _downsample(np.stack([np.stack([dx / across, dy / down], axis=-1) for dx, dy in moves]), 4)

    def frames(self, acting: Acting, light: np.ndarray) -> Iterator[np.ndarray]:
        """Yield each frame of a trial, (HEIGHT, WIDTH, 3) uint8 RGB; the array is reused for the next frame.

        light : (600, 512, 3), the factor by which this trial's lighting multiplies the portrait
        """
        picture = np.clip(self.picture * light, 0, 255).astype(np.uint8)
        frame = cv2.remap(picture, self.frame_map, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
        face = picture[FACE_BOX].copy()
        shut, agape = _with_eyes_shut(face), _with_dark_mouth(face)
        head_map = self.frame_map[HEAD_BOX]
        for expressions, blink, head in zip(acting.expressions, acting.blink, acting.head, strict=True):
            drawn = cv2.addWeighted(shut, blink, face, 1 - blink, 0) if blink > 0.02 else face
            opening = min(2 * expressions[EXPRESSIONS.index("jaw")] / JAW_PX, 1)
            drawn = cv2.addWeighted(agape, opening, drawn, 1 - opening, 0) if opening > 0.02 else drawn
            picture[FACE_BOX] = _with_expression(drawn, expressions)
            at = _displaced_map(head_map, head, self.head_moves)
            frame[HEAD_BOX] = cv2.remap(picture, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
            yield frame


def trial_light(strength: float, rng: np.random.Generator) -> np.ndarray:
    """Return smooth shading and tint (600, 512, 3) of a trial, by which a leaky protocol can recognise the trial."""
    grid = rng.normal(0, 0.3 * strength, (5, 5, 3)) + rng.normal(0, 0.12 * strength, (5, 5, 1))
    grid += rng.normal(0, 0.2 * strength, 3)
    rows, columns = portrait().shape[:2]
    face = cv2.resize(grid.astype(np.float32), (columns, rows), interpolation=cv2.INTER_CUBIC)
    return np.exp(np.clip(face, -0.8, 0.5))


@cache
def portrait() -> np.ndarray:
    """Return the portrait, (600, 512, 3) float32 RGB, 0..255."""
    from matplotlib.cbook import get_sample_data

    path = get_sample_data("grace_hopper.jpg", asfileobj=False)
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB).astype(np.float32)


@cache
def _expression_fields() -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of FACE_BOX's pixels, (rows, columns, 2), and their displacement by each expression at 1."""
    y, x = (c[FACE_BOX].astype(np.float32) for c in np.mgrid[:600, :512])

    def bump(at: np.ndarray, wide: float, high: float) -> np.ndarray:
        return np.exp(-0.5 * ((x - at[0]) / wide) ** 2 - 0.5 * ((y - at[1]) / high) ** 2)

    left, right = (bump(corner, 18, 18) for corner in MOUTH_CORNERS)
    smile = np.stack([0.45 * (right - left), -left - right], axis=-1)
    brows = np.stack([0 * x, -np.clip(sum(bump(b, 15, 8) for b in BROWS), 0, 1)], axis=-1)
    lids = np.stack([0 * x, sum((y - eye[1]) * bump(eye, 18, 7) for eye in EYES)], axis=-1)
    # The region below the lips moves down; at the steepest step the line between the lips is stretched open.
    below_lips = 1 / (1 + np.exp(-(y - MOUTH[1] - JAW_PX / 2) / (0.3 * JAW_PX)))
    chin = np.clip(bump(CHIN - [0, 36], 32, 18) + bump(CHIN - [0, 6], 48, 24), 0, 1)
    jaw = np.stack([0 * x, below_lips * chin], axis=-1)
    fields = _downsample(np.stack([smile, brows, lids, jaw]), 2)
    at = np.stack([x - FACE_BOX[1].start, y - FACE_BOX[0].start], axis=-1)
    return at, fields


def _downsample(fields: np.ndarray, by: int) -> np.ndarray:
    """Return displacement fields (K, rows, columns, 2) at 1 / `by` of the size: they are smooth, and it is faster."""
    rows, columns = fields.shape[1] // by, fields.shape[2] // by
    small = [cv2.resize(f.astype(np.float32), (columns, rows), interpolation=cv2.INTER_AREA) for f in fields]
    return np.stack(small)


def _displaced_map(at: np.ndarray, strengths: np.ndarray, fields: np.ndarray) -> np.ndarray:
    """Return the source position of each pixel, (rows, columns, 2), for `fields` with `strengths` (K,)."""
    small = np.tensordot(strengths.astype(np.float32), fields, axes=1)
    shift = cv2.resize(small, (at.shape[1], at.shape[0]), interpolation=cv2.INTER_LINEAR)
    return cv2.subtract(at, shift, dst=shift)


def _with_expression(face: np.ndarray, expressions: np.ndarray) -> np.ndarray:
    """Return `face` (FACE_BOX of the portrait, uint8) with an expression, in the same shape."""
    at, fields = _expression_fields()
    return cv2.remap(
        face, _displaced_map(at, expressions, fields), None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101
    )


def _with_dark_mouth(face: np.ndarray) -> np.ndarray:
    """Return the face with a dark line between the lips, which the jaw's movement stretches to an open mouth."""
    y, x = (c[FACE_BOX].astype(np.float32) for c in np.mgrid[:600, :512])
    line = np.exp(-(((x - MOUTH[0]) / 24) ** 4) - ((y - MOUTH[1] - 1) / 2.2) ** 2)
    return (face * (1 - 0.85 * line[..., None])).astype(np.uint8)


def _with_eyes_shut(face: np.ndarray) -> np.ndarray:
    """Return the face with closed eyes: the skin below each eye mirrored upwards, with a dark line of lashes."""
    y, x = np.mgrid[: face.shape[0], : face.shape[1]].astype(np.float32)
    shut = face.astype(np.float32)
    for eye in EYES - [FACE_BOX[1].start, FACE_BOX[0].start]:
        fold = np.float32(eye[1] + 8)  # skin begins below it; OpenCV 5.1 takes maps of float32 alone
        mirrored = cv2.remap(face, x, np.where(y < fold, 2 * fold - y, y), cv2.INTER_LINEAR).astype(np.float32)
        lid = np.exp(-(((x - eye[0]) / 21) ** 4) - ((y - eye[1]) / 8) ** 4)[..., None]
        lashes = np.exp(-(((x - eye[0]) / 18) ** 4) - ((y - eye[1] - 4) / 1.8) ** 2)[..., None]
        shut = (shut * (1 - lid) + mirrored * lid) * (1 - 0.6 * lashes)
    return shut.astype(np.uint8)


def _reshape(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the portrait with another shape: jaw, mouth and eyes wider or narrower, chin longer or shorter."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    shift = np.zeros((*x.shape, 2), np.float32)
    for pair, reach, most in ((JAW, 26, 7), (MOUTH_CORNERS, 16, 4), (EYES, 18, 3)):
        outwards = rng.uniform(-most, most)
        for point, side in zip(pair, (-1, 1), strict=True):
            shift[..., 0] += side * outwards * np.exp(-((x - point[0]) ** 2 + (y - point[1]) ** 2) / (2 * reach**2))
    shift[..., 1] += rng.uniform(-6, 6) * np.exp(-((x - CHIN[0]) ** 2 + (y - CHIN[1]) ** 2) / (2 * 24**2))
    return cv2.remap(picture, x - shift[..., 0], y - shift[..., 1], cv2.INTER_LINEAR)


def _recolour(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the portrait with another complexion, contrast and background colour."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
    head = np.exp(-((((x - FACE_CENTRE[0]) / 130) ** 2 + ((y - 200) / 180) ** 2) ** 3))
    coat = 1 / (1 + np.exp(-(y - 340 - 0.35 * np.abs(x - 265)) / 12))
    wall = (1 - np.maximum(head, coat))[..., None]
    colour = rng.uniform(50, 200, 3)
    tint = np.exp(rng.normal(0, [0.10, 0.08, 0.10]))
    contrast, brightness = rng.uniform(0.8, 1.15), rng.uniform(-22, 18)
    face = 110 + contrast * (picture - 110) + brightness
    return np.clip((face * (1 - 0.75 * wall) + colour * 0.75 * wall) * tint, 0, 255).astype(np.float32)


def _fade(distance: np.ndarray) -> np.ndarray:
    """Return 1 up to a distance of 0.5, 0 from 1 on, smooth between."""
    x = np.clip(2 * (1 - np.abs(distance)), 0, 1)
    return x * x * (3 - 2 * x)
