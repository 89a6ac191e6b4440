"""Face videos: the properties of a file, and its frames by number.

Module `frame_times` computes when a frame is shown: from time stamps, except for AVI files, which have none. With
B-frames, as in DEAP, the stamps that FFmpeg invents for them are in a wrong order, so their frames are counted.
"""

import gc
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

# FFmpeg guesses a format from a file's bytes: it would render a text file as a picture and open a play list's links.
FORMATS = "avi,mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpeg,mpegts,asf,flv,ogg,mxf,dv,wtv"
OPEN_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}
REMEDY = "If the file was copied or downloaded, fetch it again."
MAX_HELD_PIXELS = 20_000_000  # of frames, 1.5 to 4 bytes each
CHUNK_HEAD = 8  # bytes before the content of a packet in an AVI, where its index points to
RAW_STREAM_SUFFIXES = (".h264", ".264", ".avc", ".h265", ".265", ".hevc")  # streams without a container
COVER_CODECS = ("mjpeg", "png", "bmp", "gif", "webp", "tiff")  # codecs of cover pictures; mjpeg is also one of videos
MAX_PIXEL_ASPECT = 4  # a pixel more than this many times as wide as high, or as high as wide, is a faulty header
MAX_REORDERED = 20  # frames that a decoder may delay to reorder them; H.264 and HEVC allow 16
DAMAGE_S = (
    1.0  # frames are dropped this long after damage without a key frame; by then most of a picture has been coded again
)
LISTED = 3  # number of spans of lost frames that a warning lists


def probe(path: str | Path) -> VideoInfo:
    """Return the number, times, rate and size of a video's frames without decoding them.

    Raises BadRecording if the file is absent, empty, truncated, not a video, or without a picture.
    """
    info, n_packets, promised = _scan(Path(path))
    # Recordings often lack a frame or two. Half a second less than in the header means a damaged file.
    if n_packets < promised - info.fps / 2:
        raise BadRecording(
            path,
            f"the {promised:,} frames of its header",
            f"{n_packets:,}",
            "It is truncated or damaged. " + REMEDY,
        )
    return info


def _scan(path: Path) -> tuple[VideoInfo, int, int]:
    """Return a video's properties, its number of slots for frames, and the number in its header."""
    with open_container(path) as container:
        stream = video_stream(path, container)
        is_avi = container.format.name == "avi"
        promised = stream.frames
        if container.format.name.startswith("mov") and promised:  # minus those that an edit list removes
            promised = len(getattr(stream, "index_entries", ())) or promised
        stamps, n_packets = PacketTimes(), 0
        for packet in _packets(path, container, stream):
            n_packets = packet.dts + 1 if is_avi and packet.dts is not None else n_packets + 1  # empty ones too
            stamps.add(packet.pts, packet.dts, not packet.is_discard)
        rate = stream.guessed_rate or stream.average_rate
        if not any(stamps.shown) or (is_avi and not rate):
            description = f"{sum(stamps.shown)} frames at {rate or 'an unknown number of'} fps"
            raise BadRecording(path, "a video", description, REMEDY)
        size = stream.codec_context.width, stream.codec_context.height
        if is_avi:
            info = info_by_counting(size, stamps, Fraction(rate))
        else:
            origin, note = _clock_origin(container, stream, stamps)
            info = info_by_time_stamps(size, stamps, stream.time_base, Fraction(rate) if rate else None, origin)
            info = info.with_note(note)
        return _with_tracks(info, container, stream), n_packets, promised


def _clock_origin(container: Any, stream: Any, stamps: PacketTimes) -> tuple[int, str]:
    """Return the time stamp of second 0 of the video's clock (see `frame_times`), and a note about it or ""."""
    first_s = Fraction(container.start_time or 0, 1_000_000)
    anywhere = container.format.name in ("mpegts", "mpeg")
    if not anywhere and first_s <= MAX_START_S:
        # Containers without negative stamps shift all of them by the delay that B-frames need.
        moved = first_s <= stamps.delay * stream.time_base + Fraction(1, 1000)
        return (round(first_s / stream.time_base) if moved else 0), ""
    note = "" if anywhere else f"its time stamps begin at {float(first_s):,.2f} s: second 0 is there"
    return round(first_s / stream.time_base), note


def _with_tracks(info: VideoInfo, container: Any, stream: Any) -> VideoInfo:
    """Return a copy with the pixels' aspect ratio, and a note if the file has several video tracks."""
    aspect = Fraction(stream.sample_aspect_ratio or 1)
    if not Fraction(1, MAX_PIXEL_ASPECT) <= aspect <= MAX_PIXEL_ASPECT:
        info = info.with_note(
            f"pixels of {aspect.numerator} to {aspect.denominator} are impossible; square pixels are assumed"
        )
        aspect = Fraction(1)
    tracks = _video_tracks(container)
    if len(tracks) > 1:
        sizes = ", ".join(_track_size(s) for s in tracks)
        info = info.with_note(
            f"the file has {len(tracks)} video tracks ({sizes}): number {tracks.index(stream) + 1} of them is used"
        )
    return replace(info, pixel_aspect=aspect)


def count_frames(path: str | Path, info: VideoInfo) -> tuple[int, list[int]]:
    """Return the number of frames in a video's header, 0 if it states none, and the numbers of those that are decoded.

    The whole video is decoded. Raises BadRecording if it cannot be opened.
    """
    with open_container(Path(path)) as container:
        stream = video_stream(Path(path), container)
        header = int(stream.frames)
        return header, [number for number, _, _ in _numbered_frames(Path(path), container, stream, info, threads=1)]


class FrameReader:
    """An iterator over chosen frames of a video, each decoded once, in order; made by `read_frames`.

    After the iteration, `n_decoded` is the number of decoded frames, `lost` holds the spans (first, last + 1) of frames
    that could not be decoded, and `warning` reports them, and a video that ends before the last requested frame; it is
    None if there is nothing to report.
    """

    def __init__(self, path: Path, indices: np.ndarray, threads: int, info: VideoInfo | None):
        self.path, self.indices, self.threads = path, indices, threads
        self.info = info
        self.n_decoded = 0
        self.lost: list[tuple[int, int]] = []
        self.warning: str | None = None

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        from av.video.reformatter import VideoReformatter

        self.n_decoded, self.lost, self.warning = 0, [], None
        if not len(self.indices):
            return
        last = int(self.indices[-1])
        requested = set(self.indices.tolist())
        self.info = info = self.info or _scan(self.path)[0]
        reformatter = VideoReformatter()  # one for all frames: new tables for each frame halve the speed
        due = 0  # the number of the frame that comes next
        held = 0  # pixels of frames that may not be freed yet
        with open_container(self.path) as container:
            stream = video_stream(self.path, container)
            stream.codec_context.thread_count = self.threads
            if self.threads > 1:
                stream.codec_context.thread_type = "AUTO"
            damage = _Damage(info)
            for number, frame, errors in _numbered_frames(self.path, container, stream, info, self.threads):
                self.n_decoded += 1
                if damage.is_corrupted(number, frame, errors) or number < due:
                    continue
                if number > due:
                    self.lost.append((due, min(number, last + 1)))
                due = number + 1
                if number in requested:
                    yield number, _to_rgb(frame, reformatter, info.pixel_aspect)
                    held += frame.width * frame.height
                    if held > MAX_HELD_PIXELS:
                        # A frame and the side data that were asked of it refer to each other. Python frees such rings
                        # only when it looks for them: after hundreds of frames, which can be gigabytes.
                        held = 0
                        gc.collect(0)
                if number >= last:
                    break
        if due <= last and due < info.n_frames:
            self.lost.append((due, min(last + 1, info.n_frames)))
        self.warning = "; ".join(self._warnings(info, last)) or None
        if self.warning:
            log.debug("%s: %s", self.path, self.warning)

    def _warnings(self, info: VideoInfo, last: int) -> Iterator[str]:
        n = info.n_frames
        if self.lost:
            lost = sum(b - a for a, b in self.lost)
            longest = sorted(sorted(self.lost, key=lambda span: span[0] - span[1])[:LISTED])
            spans = ", ".join(f"{info.time_s(a):.2f} to {info.time_s(b):.2f} s" for a, b in longest)
            more = f" and {len(self.lost) - LISTED} more places" if len(self.lost) > LISTED else ""
            yield f"{lost:,} of {min(n, last + 1):,} frames are damaged and left out: {spans}{more}"
        if last >= n:
            yield f"the video ends at {info.seconds:.2f} s, before the last requested frame"


def read_frames(
    path: str | Path, indices: Sequence[int] | np.ndarray, threads: int = 1, info: VideoInfo | None = None
) -> FrameReader:
    """Return an iterator over (index, rgb (H, W, 3) uint8) of chosen frames; memory does not grow with the video.

    indices : increasing frame numbers from 0; reading stops after the last
    threads : number of threads of the decoder
    info : the result of `probe`; if not given, the file is scanned first

    Damaged frames are skipped, and those after them until the next key frame, for a second at most; they, and a video
    that ends early, are no error but in the reader's `warning`. Pictures are rotated upright as the file's display
    matrix says, and have square pixels. Raises ValueError for other indices, and BadRecording while iterating if the
    file cannot be opened as a video.
    """
    numbers = np.asarray(indices, dtype=np.int64).reshape(-1)
    if len(numbers) and (numbers[0] < 0 or (np.diff(numbers) <= 0).any()):
        raise ValueError(f"indices must increase from 0 or above, not {numbers[:8].tolist()}...")
    return FrameReader(Path(path), numbers, threads, info)


class _Damage:
    """Decides which decoded frames are corrupted: those that the decoder repaired, and those predicted from them."""

    def __init__(self, info: VideoInfo):
        self.lasts = round(DAMAGE_S * info.fps)  # frames
        self.errors = 0
        self.until = 0  # the number of the first undamaged frame
        self.due = 0  # the number of the frame that should come next

    def is_corrupted(self, number: int, frame: Any, errors: int) -> bool:
        mended = frame.is_corrupt
        # A decoder delays frames: those from before the damage may follow its errors; the gap comes after them.
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
    """Yield decoded frames in display order, each with its number and the count of errors before it."""
    if info.stamps is None or info.tick is None:
        yield from _frames_by_counting(path, container, stream, MAX_REORDERED + threads)
        return
    for (_, errors), frame in _decode(path, container, stream, renumber=False):
        if frame.pts is not None:
            number = int(np.searchsorted(info.stamps, frame.pts - info.origin))
            if number < info.n_frames and info.stamps[number] == frame.pts - info.origin:
                yield number, frame, errors


def _frames_by_counting(path: Path, container: Any, stream: Any, held: int) -> Iterator[tuple[int, Any, int]]:
    """Yield frames numbered by counting, including those that were lost.

    Each frame carries the number of its packet. All packets before a key frame are shown before it, so its frame number
    is their count. After a loss the same is assumed for all frames except B-frames.
    """
    came = np.zeros(1024, bool)  # packets whose frame was decoded
    number, trouble = -1, False
    for n, ((sent, errors), frame) in enumerate(_decode(path, container, stream, renumber=True)):
        own = frame.pts  # the packet's number, as passed to the decoder
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
    """Yield frames with the numbers of packets and of errors so far. A packet that cannot be decoded is skipped.

    renumber : replace each packet's time stamp by its number
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
    """Return a picture rotated and mirrored as its display matrix says: mobile phones store upright pictures sideways.

    The first two rows of the matrix map a pixel's position: x' = a x + c y, y' = b x + d y.
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
    """Return the file as PyAV's container, to be used in a `with`. Raises BadRecording."""
    import av

    try:
        if path.stat().st_size == 0:
            raise BadRecording(path, "a video", "an empty file (0 bytes)", REMEDY)
        # `file:`, as a colon in its name would be read as a protocol; a title need not be UTF-8.
        return av.open(f"file:{path}", options=OPEN_OPTIONS, metadata_errors="replace")
    except OSError as e:  # absent, a folder, without permission
        raise BadRecording(path, "a video", e.strerror or type(e).__name__, REMEDY) from None
    except av.error.FFmpegError as e:
        remedy = REMEDY
        if path.suffix.lower() in RAW_STREAM_SUFFIXES:
            remedy = f"A bare stream has no times: ffmpeg -framerate RATE -i {path.name} -c copy {path.stem}.mp4"
        raise BadRecording(path, "a video", f"content that FFmpeg cannot read ({e.strerror})", remedy) from None


def video_stream(path: Path, container: Any) -> Any:
    """Return the video track of a file; of several the default, else the largest. Raises BadRecording."""
    tracks = _video_tracks(container)
    if not tracks:
        kinds = sorted({"a cover picture" if s.type == "video" else s.type for s in container.streams})
        streams = " and ".join(kinds) or "no stream at all"
        raise BadRecording(path, "a video stream", streams, "Give the file that holds the pictures.")
    known = [s for s in tracks if s.codec_context is not None]
    if not known:
        remedy = "Convert it with the program that wrote it, for example to H.264 in an MP4. " + REMEDY
        raise BadRecording(path, "a video that FFmpeg can decode", ", ".join(_track_size(s) for s in tracks), remedy)
    return max(known, key=lambda s: (_is_default(s), s.codec_context.width * s.codec_context.height, -s.index))


def _track_size(stream: Any) -> str:
    """Return a track's size, "320 x 240", or that its codec is unknown."""
    codec = stream.codec_context
    return f"{codec.width} x {codec.height}" if codec is not None else "a track of an unknown codec"


def _is_default(stream: Any) -> bool:
    from av.stream import Disposition

    return bool(stream.disposition & Disposition.default)


def _video_tracks(container: Any) -> list[Any]:
    """Return the video tracks that are not cover pictures."""
    from av.stream import Disposition

    still = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
    tracks = [s for s in container.streams.video if not s.disposition & still]
    moving = [s for s in tracks if s.codec_context is None or s.codec_context.name not in COVER_CODECS or s.frames != 1]
    return moving or tracks


def _packets(path: Path, container: Any, stream: Any, flush: bool = False) -> Iterator[Any]:
    """Yield the stream's packets, one per frame, and None after them if `flush`; they end at a read error.

    In an AVI, `dts` is the packet's position in the index: FFmpeg's own count goes wrong after an unreadable part.
    """
    from av.error import FFmpegError

    places = _avi_index(container, stream)
    indexed = max(places, default=0)
    first = True
    try:
        for packet in container.demux(stream):
            if not packet.size:  # it would only flush the decoder
                continue
            if first and packet.pos not in places:  # an index with offsets from another origin
                places, indexed = {}, 0
            first = False
            if packet.pos in places:
                packet.dts = places[packet.pos]
            elif indexed and packet.pos <= indexed:  # false packets in a damaged part
                continue
            yield packet
    except FFmpegError as e:
        log.debug("%s: reading stopped: %s", path, e.strerror)
    if flush:
        yield None


def _avi_index(container: Any, stream: Any) -> dict[int, int]:
    """Return byte offset -> number of each packet of an AVI, from its index; empty if it has none."""
    if container.format.name != "avi":
        return {}
    return {entry.pos + CHUNK_HEAD: entry.timestamp for entry in getattr(stream, "index_entries", ())}
