"""The followed face is the participant's, through losses, jumps and other faces; and what is reported about it."""

from contextlib import contextmanager

import av
import cv2
import numpy as np
import pytest

from gbvnet.preprocessing import face_windows
from gbvnet.preprocessing.face_windows import FaceSettings, FaceWindows
from gbvnet.preprocessing.landmarks import Face, open_landmarker
from gbvnet.preprocessing.participant import GIVE_UP_S, Participant, Place, cover_faces, place_of

from .face_fixtures import mean_landmarks, need_model, portrait

COLOURS = {"anna": (200, 0, 0), "ben": (0, 200, 0), "carla": (0, 0, 200)}
RATE = 10


def landmarks_at(place, degrees=0.0):
    points = mean_landmarks(100)
    own = place_of(points)
    turn = np.exp(1j * np.radians(degrees))
    z = ((points - [own.x, own.y]) @ [1, 1j]) * place.width / own.width * turn
    return np.column_stack([z.real + place.x, z.imag + place.y])


def scene(**faces):
    """A frame (240, 480, 3) in which each face is a square of its subject's colour: name=(x, y, width)."""
    rgb = np.full((240, 480, 3), 60, np.uint8)
    for name, (x, y, width) in faces.items():
        half = width // 2
        rgb[max(0, y - half) : y + half, max(0, x - half) : x + half] = COLOURS[name]
    return rgb


class Sticky:
    """A back-end that keeps its face, else takes the first of `order`; it detects colours, whole squares only."""

    def __init__(self, order=("ben", "carla", "anna"), degrees=0.0):
        self.order, self.degrees, self.has = order, degrees, None

    def visible(self, rgb):
        places = {}
        for name in self.order:
            y, x = np.nonzero((rgb == COLOURS[name]).all(axis=2))
            if len(x) > 200:
                places[name] = Place(float(x.mean() + 0.5), float(y.mean() + 0.5), float(np.ptp(x) + 1))
        return places

    def find(self, rgb, time_s):
        places = self.visible(rgb)
        self.has = self.has if self.has in places else next(iter(places), None)
        return None if self.has is None else Face(landmarks_at(places[self.has], self.degrees))

    def all_faces(self, rgb):
        return [(place, 0.9) for place in self.visible(rgb).values()]


def followed(frames, backend=None, rate=RATE):
    """Return the name of the face that was taken in each frame, by its colour, and the messages."""
    participant = Participant(backend or Sticky())
    names = []
    for k, rgb in enumerate(frames):
        face = participant.find(rgb, k / rate)
        if face is None:
            names.append("")
            continue
        place = place_of(face.landmarks)
        pixel = tuple(rgb[int(place.y), int(place.x)].tolist())
        names.append(next((name for name, colour in COLOURS.items() if colour == pixel), "nobody"))
    return names, " | ".join(participant.events.messages())


ANNA, BEN = (120, 120, 80), (340, 120, 70)


@pytest.mark.journey
def test_the_largest_face_of_the_first_frame_is_the_participants():
    names, message = followed([scene(anna=ANNA, ben=BEN)] * 20)
    assert names == ["anna"] * 20
    assert message == "two faces of similar size (0.0 to 1.0 s): the one nearest to the participant's before is used"


@pytest.mark.journey
def test_a_bystander_does_not_become_the_participant_while_that_face_is_hidden():
    both, alone = scene(anna=ANNA, ben=BEN), scene(ben=BEN)
    names, message = followed([both] * 15 + [alone] * 40 + [both] * 15)
    assert names == ["anna"] * 15 + [""] * 40 + ["anna"] * 15
    assert "only someone else's face is in the picture (1.5 to 5.4 s): it is not used" in message
    assert "the face was lost for long (1.4 to 5.5 s)" in message and "jumps" not in message


@pytest.mark.journey
def test_a_bystander_moving_while_the_participant_is_hidden_stays_another():
    frames = [scene(anna=ANNA, ben=BEN)] * 12
    frames += [scene(ben=(340 - 5 * k, 120, 70)) for k in range(40)]  # to the very place where the participant was
    names, _ = followed([*frames, *[scene(anna=(300, 120, 80), ben=(145, 120, 70))] * 5])
    assert "ben" not in names and names[-1] == "anna"


@pytest.mark.journey
def test_a_newcomer_is_taken_until_the_participant_is_back():
    frames = [scene(anna=ANNA)] * 12 + [scene()] * 3 + [scene(carla=(360, 120, 75))] * 15
    names, message = followed([*frames, *[scene(anna=ANNA, carla=(360, 120, 75))] * 20])
    assert names[15:30] == ["carla"] * 15 and set(names[-10:]) == {"anna"}
    assert "jumps by more than its width at 1.5 s (3.0 widths)" in message


@pytest.mark.journey
def test_a_participant_walking_past_a_bystander_is_followed_without_a_message():
    frames = [scene(ben=(240, 60, 50), anna=(60 + 6 * k, 170, 90)) for k in range(60)]
    names, message = followed(frames)
    assert names == ["anna"] * 60 and "jumps" not in message and "picture" not in message


@pytest.mark.journey
def test_a_participant_coming_nearer_is_followed_without_a_message():
    frames = [scene(anna=(240, 120, 40 + 2 * k)) for k in range(60)]
    assert followed(frames) == (["anna"] * 60, "")


@pytest.mark.journey
@pytest.mark.parametrize(
    ("after", "message"),
    [
        ((360, 120, 80), "jumps by more than its width at 2.0 s (3.0 widths)"),
        ((120, 120, 180), "changes its size at 2.0 s (2.2 times as wide)"),
    ],
)
def test_a_cut_or_a_zoom_loses_nobody_and_is_reported(after, message):
    names, reported = followed([scene(anna=ANNA)] * 20 + [scene(anna=after)] * 20)
    assert names == ["anna"] * 40 and message in reported


@pytest.mark.journey
def test_whoever_is_left_is_taken_at_last_and_that_is_reported():
    n = round(2 * GIVE_UP_S) + 5
    names, message = followed([scene(anna=ANNA, ben=BEN)] * 5 + [scene(ben=BEN)] * n, rate=2)
    assert set(names[5 : n - 1]) == {""} and names[-1] == "ben"
    assert "jumps by more than its width" in message and "lost for long (2.0 to 32.5 s)" in message


@pytest.mark.journey
def test_a_small_face_far_away_is_no_second_participant():
    assert followed([scene(anna=ANNA, ben=(400, 60, 36))] * 20) == (["anna"] * 20, "")


@pytest.mark.journey
def test_a_long_loss_is_reported_and_a_short_one_is_not():
    assert followed([scene(anna=ANNA)] * 5 + [scene()] * 5 + [scene(anna=ANNA)] * 5, rate=2)[1] == ""
    names, message = followed([scene(anna=ANNA)] * 5 + [scene()] * 22 + [scene(anna=ANNA)] * 5, rate=2)
    assert names[-1] == "anna"
    assert message == "the face was lost for long (2.0 to 13.5 s): the next face may be someone else's"


@pytest.mark.journey
def test_another_face_in_the_seat_after_an_absence_is_reported():
    """Place and size are the participant's: only the time for which the face was lost shows it."""
    names, message = followed([scene(anna=ANNA)] * 20 + [scene()] * 40 + [scene(ben=ANNA)] * 20)
    assert names[-1] == "ben"
    assert message == "the face was lost for long (1.9 to 6.0 s): the next face may be someone else's"


@pytest.mark.journey
def test_dark_and_turned_faces_are_reported_with_their_seconds():
    dark = [scene(anna=ANNA)] * 10 + [np.where(scene(anna=ANNA) == 60, 5, 20).astype(np.uint8)] * 6
    backend = Sticky()
    backend.visible = lambda rgb: {"anna": Place(*ANNA)}
    message = followed(dark + [scene(anna=ANNA)] * 4, backend)[1]
    assert message == "faces in 6 frames that are nearly black (1.0 to 1.5 s): check whether they can be used"
    for degrees in (90, 180, -100):
        message = followed([scene(anna=ANNA)] * 12, Sticky(degrees=degrees))[1]
        assert message.startswith("a face on its side or upside down in 12 frames (0.0 to 1.1 s)")
    assert followed([scene(anna=ANNA)] * 12, Sticky(degrees=40))[1] == ""


@pytest.mark.journey
def test_a_back_end_that_finds_one_face_only_is_followed_as_it_is():
    backend = Sticky()
    del Sticky.all_faces
    try:
        names, message = followed([scene(anna=ANNA)] * 5 + [scene()] * 3 + [scene(ben=BEN)] * 5, backend)
    finally:
        Sticky.all_faces = lambda self, rgb: [(place, 0.9) for place in self.visible(rgb).values()]
    assert names == ["anna"] * 5 + [""] * 3 + ["ben"] * 5 and "jumps" in message


def test_what_is_covered_is_the_face_and_not_the_kept_one():
    rgb = scene(anna=(100, 100, 60), ben=(161, 100, 60))
    for kept in (None, Place(100, 100, 60)):
        out = cover_faces(rgb, [Place(161, 100, 60)], kept)
        assert (out[70:130, 131:191] != COLOURS["ben"]).any(axis=2).all()
        assert (out[70:130, 70:130] == COLOURS["anna"]).all() == (kept is not None)
    assert (cover_faces(rgb, [Place(150, 100, 60)], Place(140, 100, 60)) != COLOURS["ben"]).any(axis=2).all()
    assert (rgb == scene(anna=(100, 100, 60), ben=(161, 100, 60))).all()


# ---------------------------------------------------------------- with MediaPipe


def room(participant=True, bystander=True):
    """Two portraits side by side: the participant at the left, and somebody whose face is yellow, a little smaller."""
    big, small = (cv2.resize(portrait(), size, interpolation=cv2.INTER_AREA) for size in ((320, 376), (290, 340)))
    small[:, :, 2] //= 2
    rgb = np.full((400, 720, 3), 90, np.uint8)
    if bystander:
        rgb[30:370, 400:690] = small
    if participant:
        rgb[12:388, 20:340] = big
    return rgb


@pytest.mark.journey
def test_a_hand_over_the_face_does_not_make_a_bystander_the_participant():
    need_model()
    both, alone = room(), room(participant=False)
    with open_landmarker("mediapipe") as landmarker:
        participant = Participant(landmarker)
        faces = [participant.find(f, k / 5) for k, f in enumerate([both] * 7 + [alone] * 15 + [both] * 6)]
    x = [None if face is None else face.landmarks[17:, 0].mean() for face in faces]
    assert all(at is not None and at < 360 for at in x[:7] + x[-5:])
    assert x[8:22] == [None] * 14
    message = " | ".join(participant.events.messages())
    assert "two faces of similar size" in message and "only someone else's face is in the picture" in message


def messages_of(frame, n=5):
    with open_landmarker("mediapipe") as landmarker:
        participant = Participant(landmarker)
        for k in range(n):
            participant.find(np.ascontiguousarray(frame), float(k))
    return " | ".join(participant.events.messages())


@pytest.mark.journey
@pytest.mark.parametrize(
    ("quarters", "wanted", "rotation"),
    [(1, "on its side", "transpose=1"), (2, "upside down", "hflip,vflip"), (3, "on its side", "transpose=2")],
)
def test_a_rotated_video_is_reported_with_what_rotates_it_back(quarters, wanted, rotation):
    need_model()
    message = messages_of(np.rot90(room(bystander=False), quarters))
    assert f"the video seems to be {wanted}" in message and f"-vf {rotation} ROTATED" in message


@pytest.mark.journey
def test_an_upright_video_is_not_called_rotated_though_its_face_is_small():
    """Of portraits too small for the landmarks, the detector finds something upside down."""
    need_model()
    assert messages_of(room(bystander=False)) == ""
    small = cv2.resize(portrait(), (150, 176), interpolation=cv2.INTER_AREA)
    for x, y in ((280, 100), (200, 5)):
        rgb = np.full((400, 720, 3), 90, np.uint8)
        rgb[y : y + 176, x : x + 150] = small
        assert "seems to be" not in messages_of(rgb)


@pytest.mark.journey
def test_all_faces_of_a_frame_are_detected_once():
    """It takes time. Rotated frames are tried only if no face is surely upright, and only in the first frames."""
    backend = Sticky()
    looked = []
    backend.all_faces = lambda rgb: looked.append(rgb.shape) or [(Place(*ANNA), backend.score)]
    backend.score = 0.9
    followed([scene(anna=ANNA)] * 30, backend)
    assert len(looked) == 3  # once a second
    looked.clear()
    backend.score = 0.5
    followed([scene()] * 1000, backend)
    assert len(looked) == 4 * 60


@pytest.mark.journey
def test_windows_of_a_video_bring_the_messages(tmp_path, monkeypatch):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264rgb", rate=RATE, options={"qp": "0"})
        stream.width, stream.height, stream.pix_fmt = 480, 240, "rgb24"
        for k in range(60):
            rgb = scene(anna=ANNA if k < 32 else (360, 120, 80))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))

    @contextmanager
    def opened(backend):
        yield Sticky()

    monkeypatch.setattr(face_windows, "open_landmarker", opened)
    windows = FaceWindows(tmp_path / "a.mp4", np.arange(6.0), FaceSettings(1.0, 5, 32))
    parts = list(windows)
    assert all(part.ok.all() for part in parts)
    assert "jumps by more than its width at 3.2 s (3.0 widths)" in windows.warning
