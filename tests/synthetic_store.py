"""Small stores with a known truth, written with the package's own store module: for tests of training.

What they hold is that of `gbvnet.testing.SyntheticStore`: each trial's label shows, as far as `effect` goes, in the
amplitude of one signal channel and in the redness of the face; `fingerprint` marks each trial by an amplitude and a
brightness of its own, the bait of the window protocol.
"""

from pathlib import Path

from gbvnet.store.reader import Store, open_store
from gbvnet.store.writer import create_store, finish_store, write_recording
from gbvnet.testing.synthetic_store import CHANNELS as CHANNELS
from gbvnet.testing.synthetic_store import SyntheticWindows, store_settings, synthetic_recordings

FRAMES, SIDE, SAMPLES = 2, 32, 32


def write_store(path: Path, faces=True, missing=(), ratings=None, effect_channels=("Cz",), **others) -> Store:
    """Write a store and open it.

    missing : {(subject, trial): "face" or "signals"}, both from 1
    others : settings of `SyntheticWindows`
    """
    content = SyntheticWindows(
        frames=FRAMES if faces else 0,
        side=SIDE,
        samples=SAMPLES,
        missing=tuple(dict(missing).items()),
        ratings=ratings,
        effect_channels=effect_channels,
        **others,
    )
    create_store(path, store_settings(content))
    recordings = [
        write_recording(path, about["recording"], arrays, about) for about, arrays in synthetic_recordings(content)
    ]
    finish_store(path, recordings)
    return open_store(path)
