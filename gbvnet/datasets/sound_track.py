"""The sound of a recording's film during the stimulus, for plug-ins of further modalities."""

from ..errors import BadRecording
from ..io.sound import Sound, read_sound
from .recording import Recording


def stimulus_sound(recording: Recording) -> Sound | None:
    """Return the sound of a recording's film from the start of the stimulus to its end; None without film or sound.

    recording : as its corpus inspected it
    Sample k of (N,) is k / rate_hz seconds after the start of the stimulus. Raises BadRecording for a damaged file, and
    for a film whose frames have times of their own: which of both clocks its sound follows is not known.
    """
    if recording.video is None:
        return None
    if recording.video_times is not None:
        expected = f"a film whose sound is on the clock of {recording.name}"
        actual = f"frame times in {recording.video_times.name}, and none of the sound"
        raise BadRecording(recording.video, expected, actual, "Give video_offset_s instead, if its own clock is right.")
    start_s = recording.video_start_s
    return read_sound(recording.video, start_s, start_s + recording.seconds, recording.video_info)
