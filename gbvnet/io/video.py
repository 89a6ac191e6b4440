"""Face videos: what a file holds, and its frames by number.

When a frame is shown is told by `frametimes`: by time stamps, except for AVI files, which have none: with B-frames, as
DEAP's have, what FFmpeg makes up for them comes out scrambled. Their frames are counted.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BadRecording
from .frame_times import MAX_START_S, PacketTimes, VideoInfo, info_by_counting, info_by_time_stamps

log = logging.getLogger(__name__)

# FFmpeg guesses a format from a file's bytes: it would draw a text file as a picture, and follow a play list's links.
FORMATS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,asf,flv,ogg,mxf,dv,wtv"
OPEN_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
REMEDY = "If the file was copied or downloaded, fetch it again."
CHUNK_HEAD = 8  # bytes before the content of a packet in an AVI, where its index points to
RAW_STREAM_SUFFIXES = (".h264", ".264", ".avc", ".h265", ".265", ".hevc")  # streams without a container
COVER_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")  # codecs of covers, though mjpeg is that of films as well
MAX_PIXEL_ASPECT = 4  # a pixel this many times as wide as high, or as high as wide, is a mistake in a header
MAX_REORDERED = 20  # frames that a decoder may hold back to put them in order; H.264 and HEVC allow 16
DAMAGE_S = 1.0  # after damage without a key frame: then most of a picture was coded anew
LISTED = 3  # spans of lost frames that a finding lists


def probe(path: str | Path) -> VideoInfo:
    """Count a video's frames and find when they are shown, their rate and size; nothing is decoded.

    Raises BadRecording if the file is absent, empty, cut short, no video, or without a picture.
    """
    info, n_packets, promised = _scan(Path(path))
    # Files of the field lack a frame or two at times. Half a second less than the header says is something else.
    if n_packets < promised - info.fps / 2:
        raise BadRecording(
            path,
            f"the {promised:,} frames that its header promises",
            f"{n_packets:,}",
            "It is cut short or damaged. " + REMEDY,
        )
    return info


def _scan(path: Path) -> tuple[VideoInfo, int, int]:
    """What a video holds; its places for frames; and how many its header promises."""
    with open_container(path) as container:
        stream = video_stream(path, container)
        is_avi = container.format.name == "avi"
        promised = stream.frames
        if container.format.name.startswith("mov") and promised:  # less what an edit list leaves out
            promised = len(getattr(stream, "index_entries", ())) or promised
        stamps, n_packets = PacketTimes(), 0
        for packet in _packets(path, container, stream):
            n_packets = packet.dts + 1 if is_avi and packet.dts is not None else n_packets + 1  # empty ones too
            stamps.add(packet.pts, packet.dts, not packet.is_discard)
        rate = stream.guessed_rate or stream.average_rate
        if not any(stamps.shown) or (is_avi and not rate):
            found = f"{sum(stamps.shown)} frames at {rate or 'an unknown number of'} fps"
            raise BadRecording(path, "a video", found, REMEDY)
        size = stream.codec_context.width, stream.codec_context.height
        if is_avi:
            info = info_by_counting(size, stamps, Fraction(rate))
        else:
            origin, note = _clock_origin(container, stream, stamps)
            info = info_by_time_stamps(size, stamps, stream.time_base, Fraction(rate) if rate else None, origin)
            info = info.noting(note)
        return _with_tracks(info, container, stream), n_packets, promised


def _clock_origin(container: Any, stream: Any, stamps: PacketTimes) -> tuple[int, str]:
    """The time stamp of the video clock's second 0, as `frametimes` says, and what to tell of it."""
    first_s = Fraction(container.start_time or 0, 1_000_000)
    anywhere = container.format.name in ("mpegts", "mpeg")
    if not anywhere and first_s <= MAX_START_S:
        # Where no stamp may be negative, all are moved up by what B-frames need to be put in order.
        moved = first_s <= stamps.delay * stream.time_base + Fraction(1, 1000)
        return (round(first_s / stream.time_base) if moved else 0), ""
    note = "" if anywhere else f"its time stamps begin at {float(first_s):,.2f} s: second 0 is there"
    return round(first_s / stream.time_base), note


def _with_tracks(info: VideoInfo, container: Any, stream: Any) -> VideoInfo:
    """With the shape of its pixels, and a note if there are several videos to choose from."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, MAX_PIXEL_ASPECT) <= aspect <= MAX_PIXEL_ASPECT:
        info = info.noting(f"pixels of {aspect.numerator} to {aspect.denominator} cannot be, and are taken for square")
        aspect = Fraction(1)
    tracks = _video_tracks(container)
    if len(tracks) > 1:
        sizes = ", ".join(_track_size(s) for s in tracks)
        info = info.noting(
            f"the file has {len(tracks)} video tracks ({sizes}): number {tracks.index(stream) + 1} of them is used"
        )
    return replace(info, pixel_aspect=aspect)


class FrameReader:
    """An iterator over chosen frames of a video, each decoded once, in order; made by `read_frames`.

    Once it ends, `n_decoded` is how many frames were decoded, `lost` which frames could not be, as (first, past the
    last), and `finding` says so, and if the video ended before the last frame asked for.
    """

    def __init__(self, path: Path, indices: np.ndarray, threads: int, info: VideoInfo | None):
        self.path, self.indices, self.threads = path, indices, threads
        self.info = info
        self.n_decoded = 0
        self.lost: list[tuple[int, int]] = []
        self.finding: str | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        from av.video.reformatter import VideoReformatter

        self.n_decoded, self.lost, self.finding = 0, [], None
        if not len(self.indices):
            return
        last = int(self.indices[-1])
        asked = set(self.indices.tolist())
        self.info = info = self.info or _scan(self.path)[0]
        reformatter = VideoReformatter()  # one for all: making its tables again for each frame halves the speed
        due = 0  # the number of the frame that comes next
        with open_container(self.path) as container:
            stream = video_stream(self.path, container)
            stream.codec_context.thread_count = self.threads
            if self.threads > 1:
                stream.codec_context.thread_type = "AUTO"
            damage = _Damage(info)
            for number, frame, errors in _numbered_frames(self.path, container, stream, info, self.threads):
                self.n_decoded += 1
                if damage.spoils(number, frame, errors) or number < due:
                    continue
                if number > due:
                    self.lost.append((due, min(number, last + 1)))
                due = number + 1
                if number in asked:
                    yield number, _to_rgb(frame, reformatter, info.pixel_aspect)
                if number >= last:
                    break
        if due <= last and due < info.n_frames:
            self.lost.append((due, min(last + 1, info.n_frames)))
        self.finding = "; ".join(self._findings(last)) or None
        if self.finding:
            log.debug("%s: %s", self.path, self.finding)

    def _findings(self, last: int) -> Iterator[str]:
        assert self.info is not None
        n = self.info.n_frames
        if self.lost:
            lost = sum(b - a for a, b in self.lost)
            longest = sorted(sorted(self.lost, key=lambda span: span[0] - span[1])[:LISTED])
            told = ", ".join(f"{self.info.time_s(a):.2f} to {self.info.time_s(b):.2f} s" for a, b in longest)
            more = f" and {len(self.lost) - LISTED} more places" if len(self.lost) > LISTED else ""
            yield f"{lost:,} of {min(n, last + 1):,} frames are damaged and left out: {told}{more}"
        if last >= n:
            yield f"the video ends at {self.info.seconds:.2f} s, before the last frame that was asked for"


def read_frames(
    path: str | Path, indices: Sequence[int] | np.ndarray, threads: int = 1, info: VideoInfo | None = None
) -> FrameReader:
    """Iterate over (index, rgb (H, W, 3) uint8) of the frames asked for, in order; memory does not grow with the video.

    indices : increasing frame numbers from 0; reading stops after the last
    threads : of the decoder
    info : what `probe` said of the video, or the file is read once more for it

    Frames that are damaged are passed over, as are those after them until the next key frame, for a second at most;
    they, and a video that ends early, are in the reader's `finding`: that is not an error. Pictures come upright, as
    the file asks for, and with square pixels. Raises BadRecording if the file cannot be opened as a video.
    """
    numbers = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(numbers) and (numbers[0] < 0 or (np.diff(numbers) <= 0).any()):
        raise ValueError(f"indices must increase from 0 or above, not {numbers[:8].tolist()}...")
    return FrameReader(Path(path), numbers, threads, info)


class _Damage:
    """Which decoded frames are not to be trusted: those that the decoder mended, and those that build on them."""

    def __init__(self, info: VideoInfo):
        self.lasts = round(DAMAGE_S * info.fps)  # frames
        self.errors = 0
        self.until = 0  # the number of the first sound frame
        self.due = 0  # the number of the frame that should come next

    def spoils(self, number: int, frame: Any, errors: int) -> bool:
        mended = frame.is_corrupt
        # A decoder holds frames back: those from before the damage may come after its errors, the gap only then.
        if mended or errors > self.errors or (self.due < number < self.until + self.lasts):
            self.errors, self.until = errors, number + self.lasts
        self.due = number + 1
        if frame.key_frame and not mended:
            self.until = 0
        return mended or number < self.until


# ---------------------------------------------------------------- which frame a decoded picture is


def _numbered_frames(
    path: Path, container: Any, stream: Any, info: VideoInfo, threads: int
) -> Iterator[tuple[int, Any, int]]:
    """Decoded frames in the order in which they are shown, each with its number and the count of errors before it."""
    if info.stamps is None or info.tick is None:
        yield from _frames_by_counting(path, container, stream, MAX_REORDERED + threads)
        return
    for (_, errors), frame in _decode(path, container, stream, renumber=False):
        if frame.pts is not None:
            number = int(np.searchsorted(info.stamps, frame.pts - info.origin))
            if number < info.n_frames and info.stamps[number] == frame.pts - info.origin:
                yield number, frame, errors


def _frames_by_counting(path: Path, container: Any, stream: Any, held: int) -> Iterator[tuple[int, Any, int]]:
    """Frames numbered by counting, past those that were lost.

    A frame tells of which packet it is. All packets before one that begins anew (a key frame) are shown before it, so
    that its number is that of all of them. Once something was lost, the same is taken of all but B-frames.
    """
    came = np.zeros(1024, bool)  # packets whose frame was decoded
    number, trouble = -1, False
    for n, ((sent, errors), frame) in enumerate(_decode(path, container, stream, renumber=True)):
        own = frame.pts  # the packet's number, as it was given to the decoder
        trouble = trouble or errors > 0 or sent - n > held
        number += 1
        if own is not None and own >= 0:
            if own >= len(came):
                came = np.concatenate([came, np.zeros(own + 1, bool)])
            if frame.key_frame or (trouble and frame.pict_type != _B):
                number = max(number, n + own - int(np.count_nonzero(came[:own])))
            came[own] = True
        yield number, frame, errors


_B = 3  # FFmpeg's AV_PICTURE_TYPE_B


def _decode(path: Path, container: Any, stream: Any, renumber: bool) -> Iterator[tuple[tuple[int, int], Any]]:
    """Frames, each with the number of packets and of errors so far. A packet that cannot be decoded is passed over.

    renumber : give each packet its number in place of its time stamp
    """
    from av.error import FFmpegError

    decoder = stream.codec_context
    sent = errors = 0
    for packet in _packets(path, container, stream, flush=True):
        if renumber and packet is not None and not packet.is_discard:
            packet.pts = packet.dts = sent
        sent += packet is not None and not packet.is_discard
        try:
            frames = decoder.decode(packet)
        except FFmpegError as e:
            errors += 1
            log.debug("%s: packet %d: %s", path, sent, e)
            continue
        for frame in frames:
            yield (sent, errors), frame


# ---------------------------------------------------------------- pictures


def _to_rgb(frame: Any, reformatter: Any, pixel_aspect: Fraction) -> np.ndarray:
    width, height = frame.width, frame.height
    if pixel_aspect > 1:
        width = round(width * pixel_aspect)
    elif pixel_aspect < 1:
        height = round(height / pixel_aspect)
    rgb = reformatter.reformat(frame, width, height, format="rgb24").to_ndarray()  # (H, W, 3) uint8
    # Rows are padded in memory where the width is no multiple of 16 (MAHNOB-HCI: 780), and MediaPipe sees no face then.
    return np.ascontiguousarray(_rotate_upright(rgb, frame))


def _rotate_upright(rgb: np.ndarray, frame: Any) -> np.ndarray:
    """As the file asks for it to be shown: telephones store upright pictures lying down, front cameras mirrored.

    The first two rows of a display matrix say where a pixel goes: x' = a x + c y, y' = b x + d y.
    """
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return rgb
    a, b, _, c, d = (int(v) for v in np.frombuffer(bytes(matrix), np.int32)[:5])
    if abs(b) + abs(c) > abs(a) + abs(d):
        rgb, a, d = rgb.transpose(1, 0, 2), c, b
    rgb = rgb[:, ::-1] if a < 0 else rgb
    return rgb[::-1] if d < 0 else rgb


# ---------------------------------------------------------------- the file


def open_container(path: Path) -> Any:
    """The file as PyAV's container, to be used in a `with`. Raises BadRecording."""
    import av

    try:
        if path.stat().st_size == 0:
            raise BadRecording(path, "a video", "an empty file (0 bytes)", REMEDY)
        return av.open(f"file:{path}", options=OPEN_OPTIONS)  # or a colon in its name would be read as a protocol's
    except OSError as e:  # absent, a folder, not ours to read
        raise BadRecording(path, "a video", e.strerror or type(e).__name__, REMEDY) from None
    except av.error.FFmpegError as e:
        remedy = REMEDY
        if path.suffix.lower() in RAW_STREAM_SUFFIXES:
            remedy = f"A bare stream has no times: ffmpeg -framerate RATE -i {path.name} -c copy {path.stem}.mp4"
        raise BadRecording(path, "a video", f"content that FFmpeg cannot read ({e.strerror})", remedy) from None


def video_stream(path: Path, container: Any) -> Any:
    """The video of a file: no cover picture; of several the default one, then the largest. Raises BadRecording."""
    tracks = _video_tracks(container)
    if not tracks:
        kinds = sorted({"a cover picture" if s.type == "video" else s.type for s in container.streams})
        found = " and ".join(kinds) or "no stream at all"
        raise BadRecording(path, "a video stream", found, "Give the file that holds the pictures.")
    known = [s for s in tracks if s.codec_context is not None]
    if not known:
        remedy = "Convert it with the program that wrote it, for example to H.264 in an MP4. " + REMEDY
        raise BadRecording(path, "a video that FFmpeg can decode", ", ".join(_track_size(s) for s in tracks), remedy)
    return max(known, key=lambda s: (_is_default(s), s.codec_context.width * s.codec_context.height, -s.index))


def _track_size(stream: Any) -> str:
    """A track's size, or that nothing here decodes it: "320 x 240"."""
    codec = stream.codec_context
    return f"{codec.width} x {codec.height}" if codec is not None else "a track of an unknown codec"


def _is_default(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.default)


def _video_tracks(container: Any) -> list[Any]:
    """The video tracks that are no pictures shown beside a film or a piece of music."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    tracks = [s for s in container.streams.video if not s.disposition & still]
    moving = [s for s in tracks if s.codec_context is None or s.codec_context.name not in COVER_CODECS or s.frames != 1]
    return moving or tracks


def _packets(path: Path, container: Any, stream: Any, flush: bool = False) -> Iterator[Any]:
    """The stream's packets, one a frame, and None after them if `flush`. A file that cannot be read on has ended.

    Those of an AVI have their place in its index as `dts`, as FFmpeg counts on after a part that it could not read.
    """
    from av.error import FFmpegError

    places = _avi_index(container, stream)
    indexed = max(places, default=0)
    first = True
    try:
        for packet in container.demux(stream):
            if not packet.size:  # it would only tell the decoder to flush
                continue
            if first and packet.pos not in places:  # an index that counts from elsewhere
                places, indexed = {}, 0
            first = False
            if packet.pos in places:
                packet.dts = places[packet.pos]
            elif indexed and packet.pos <= indexed:  # what looks like a packet in a damaged part
                continue
            yield packet
    except FFmpegError as e:
        log.debug("%s: reading stopped: %s", path, e.strerror)
    if flush:
        yield None


def _avi_index(container: Any, stream: Any) -> dict[int, int]:
    """Where the packets of an AVI begin -> their numbers, by its index; empty if it has none."""
    if container.format.name != "avi":
        return {}
    return {entry.pos + CHUNK_HEAD: entry.timestamp for entry in getattr(stream, "index_entries", ())}
