"""Signal files whose values are their own time, written field by field, for tests of when things are."""

from pathlib import Path

import numpy as np


def cells(values, width):
    """Fixed fields of an EDF header."""
    return b"".join((v if isinstance(v, bytes) else str(v).encode("latin-1")).ljust(width)[:width] for v in values)


def write_edf(path, signals, record_s=1.0, onsets=None, texts=None, kind=None, n_records=None):
    """An EDF or BDF by its suffix; EDF+ if `onsets` (the text of each record's time) are given.

    signals : name -> (samples in a record, values, unit); values fill whole records
    texts : record -> annotation, bytes; kind : "C" or "D"; n_records : what the header promises instead of the truth
    """
    bdf = Path(path).suffix == ".bdf"
    width, top = (3, 2**23 - 1) if bdf else (2, 2**15 - 1)
    names, per = list(signals), [s[0] for s in signals.values()]
    n = min(len(s[1]) // s[0] for s in signals.values())
    limits = [f"{np.abs(s[1]).max() * 1.01 + 1e-3:.5g}" for s in signals.values()]
    units = [s[2] for s in signals.values()]
    if onsets is not None:
        names, per, limits, units = (
            [*names, f"{'BDF' if bdf else 'EDF'} Annotations"],
            [*per, 60],
            [*limits, "1"],
            [*units, ""],
        )
    count = len(names)
    plus = f"{'BDF' if bdf else 'EDF'}+{kind or 'C'}" if onsets is not None else "24BIT" if bdf else ""
    head = [b"\xffBIOSEMI" if bdf else cells(["0"], 8), cells(["X X X X", "Startdate X X X X"], 80)]
    head += [cells(["01.01.20", "10.00.00", 256 * (count + 1)], 8), cells([plus], 44)]
    head += [cells([n if n_records is None else n_records, f"{record_s:g}"], 8), cells([count], 4)]
    head += [cells(names, 16), cells([""] * count, 80), cells(units, 8)]
    head += [cells([f"-{v}" for v in limits], 8), cells(limits, 8), cells([-top] * count, 8), cells([top] * count, 8)]
    head += [cells([""] * count, 80), cells(per, 8), cells([""] * count, 32)]
    body = []
    for r in range(n):
        for (m, values, _), limit in zip(signals.values(), limits, strict=False):
            whole = np.round(np.asarray(values)[r * m : (r + 1) * m] / float(limit) * top).astype("<i4")
            body.append(whole.view(np.uint8).reshape(-1, 4)[:, :width].tobytes())
        if onsets is not None:
            tal = f"+{onsets[r]}".encode() + b"\x14\x14\0" + (texts or {}).get(r, b"")
            body.append(tal.ljust(60 * width, b"\0"))
    Path(path).write_bytes(b"".join(head + body))


def write_csv(path, signals, rate_hz, start_s=0.0, sep=","):
    n = len(next(iter(signals.values())))
    columns = {"time": start_s + np.arange(n) / rate_hz} | signals
    lines = zip(*(np.asarray(c).tolist() for c in columns.values()), strict=True)
    Path(path).write_text("\n".join(sep.join(map(str, line)) for line in [columns, *lines]) + "\n")


def write_vhdr(path, signals, rate_hz, segments):
    """BrainVision in float32; segments: (first sample from 1, time of day or "")."""
    values = np.stack(list(signals.values()))
    path.with_suffix(".eeg").write_bytes(values.T.astype("<f4").tobytes())
    marks = "".join(
        f"Mk{k}=New Segment,,{at},1,0{',' + day if day else ''}\n" for k, (at, day) in enumerate(segments, 1)
    )
    path.with_suffix(".vmrk").write_text(
        "Brain Vision Data Exchange Marker File, Version 1.0\n[Common Infos]\n"
        f"DataFile={path.stem}.eeg\n[Marker Infos]\n{marks}"
    )
    names = "".join(f"Ch{k}={name},,1,µV\n" for k, name in enumerate(signals, 1))
    path.write_text(
        "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nCodepage=UTF-8\n"
        f"DataFile={path.stem}.eeg\nMarkerFile={path.stem}.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\n"
        f"NumberOfChannels={len(signals)}\nSamplingInterval={1e6 / rate_hz}\n[Binary Infos]\n"
        f"BinaryFormat=IEEE_FLOAT_32\n[Channel Infos]\n{names}",
        encoding="utf-8",
    )


def write_gdf(path, signals, record_s=1):
    """GDF 1.25 in 16 bits; name -> (samples in a record, values, unit)."""
    names, per = list(signals), [s[0] for s in signals.values()]
    n, count = min(len(s[1]) // s[0] for s in signals.values()), len(signals)
    limits = np.array([np.abs(s[1]).max() * 1.01 + 1e-3 for s in signals.values()])
    numbers = [np.array([256 * (count + 1)], "<i8"), np.zeros(44, np.uint8), np.array([n], "<i8")]
    numbers += [np.array([record_s, 1, count], "<u4")]
    head = [
        cells(["GDF 1.25"], 8),
        cells(["X X", ""], 80),
        cells(["2020010110000000"], 16),
        *(a.tobytes() for a in numbers),
    ]
    head += [cells(names, 16), cells([""] * count, 80), cells([s[2] for s in signals.values()], 8)]
    head += [(-limits).tobytes(), limits.tobytes(), np.full(count, -32767, "<i8").tobytes()]
    head += [np.full(count, 32767, "<i8").tobytes(), cells([""] * count, 80), np.array(per, "<i4").tobytes()]
    head += [np.full(count, 3, "<i4").tobytes(), cells([""] * count, 32)]
    body = [
        np.round(np.asarray(values)[r * m : (r + 1) * m] / limit * 32767).astype("<i2").tobytes()
        for r in range(n)
        for (m, values, _), limit in zip(signals.values(), limits, strict=True)
    ]
    Path(path).write_bytes(b"".join([*head, *body]) + b"\x01\0\x01\0" + np.zeros(1, "<u4").tobytes())
