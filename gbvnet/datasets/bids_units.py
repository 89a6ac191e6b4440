"""The units of channels.tsv against those in the header of the signal file, which are the ones that are used."""

from collections.abc import Sequence

from ..text import shortened
from .bids_files import BidsRun
from .bids_table import BidsTable
from .formats.mne_units import mne_units
from .formats.signal_file import MneFile, open_signals
from .recording import Channel
from .units import is_stated, parse_unit


def unit_notes(run: BidsRun, table: BidsTable, channels: Sequence[Channel]) -> list[str]:
    """Return a note on channels whose unit in channels.tsv is another than in the file: a factor, or a quantity.

    Raises BadRecording for a signal file that cannot be opened.
    """
    file = open_signals(run.signals.path)
    if not isinstance(file, MneFile):
        return []
    in_file = dict(zip(file.names, mne_units(file.raw), strict=True))
    used, other = {channel.name for channel in channels}, []
    for row in table.rows:
        name, stated = row.get("name", ""), row.get("units", "")
        unit, own = parse_unit(stated), in_file.get(name)
        if name not in used or own is None or unit is None:
            continue
        text = own.text if is_stated(own.text) else own.default
        if parse_unit(text) != unit:
            other.append(f"{name} in {stated}, by the file in {text or 'no unit'}")
    if not other:
        return []
    listed = shortened(other, separator="; ")
    return [f"units of channels.tsv that are not those of {run.signals.path.name}, which are used: {listed}"]
