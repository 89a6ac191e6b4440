"""One synthetic recording of 60 s in the format of every device, with the same planted signals.

The signals are known functions of time: a pulse of 72 beats a minute, a skin conductance response at 20 s, blinks at
10, 30 and 50 s over an alpha rhythm. Each format keeps what its device measures, with the device's own habits: bursts,
jitter, counters, rows of events, trailing delimiters, several header lines.

t (N,) are seconds since the first sample; START is when that was.
"""

import struct
import zipfile
import zlib
from datetime import UTC, datetime

import numpy as np

START, SECONDS = 1_700_000_000.0, 60
BLINKS_S, SCR_S, PULSE_HZ = (10.0, 30.0, 50.0), 20.0, 1.2


def eeg(t):
    """uV : blinks of 150 uV over 10 uV of alpha."""
    blinks = sum(150 * np.exp(-(((t - s) / 0.12) ** 2)) for s in BLINKS_S)
    return blinks + 10 * np.sin(2 * np.pi * 10 * t)


def pulse(t):
    """Two harmonics of the heart rate."""
    return 50 * np.sin(2 * np.pi * PULSE_HZ * t) + 20 * np.sin(4 * np.pi * PULSE_HZ * t + 1)


def eda(t):
    """uS : a level of 5 with a response of 1 that rises in about 1 s and decays in 6 s."""
    late = np.clip(t - SCR_S, 0, None)
    return 5 + 1.4 * (np.exp(-late / 6) - np.exp(-late / 1.2))


def times(rate_hz, seconds=SECONDS):
    return np.arange(round(seconds * rate_hz)) / rate_hz


def bursts(t, every_s):
    """Arrival of samples that are sent in packets."""
    return np.ceil((t + 1e-9) / every_s) * every_s + 0.004 * np.sin(97 * np.floor(t / every_s))


# ---------------------------------------------------------------- Empatica E4


def empatica_files(start=START, seconds=SECONDS):
    """Name -> text of the files of a session."""
    files = {}
    for name, rate, values in (("EDA", 4, eda), ("BVP", 64, pulse), ("TEMP", 4, lambda t: 33 + t / 100)):
        rows = "".join(f"{value:.6f}\r\n" for value in values(times(rate, seconds)))
        files[f"{name}.csv"] = f"{start:.6f}\r\n{rate:.6f}\r\n{rows}"
    files["ACC.csv"] = f"{', '.join([f'{start:.6f}'] * 3)}\r\n{', '.join(['32.000000'] * 3)}\r\n"
    files["ACC.csv"] += "-2,5,63\r\n" * (32 * seconds)
    files["HR.csv"] = f"{start + 10:.6f}\r\n1.000000\r\n" + "72.00\r\n" * (seconds - 10)
    files["IBI.csv"] = f"{start:.6f}, IBI\r\n3.10,0.833\r\n3.93,0.833\r\n"
    files["tags.csv"] = f"{start + 12.5:.2f}\r\n"
    files["info.txt"] = "EDA.csv\r\n"
    return files


def write_empatica(folder, files=None):
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (files or empatica_files()).items():
        (folder / name).write_bytes(text.encode())


def write_empatica_zip(path, files=None, within=""):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files or empatica_files()).items():
            archive.writestr(f"{within}{name}", text)


# ---------------------------------------------------------------- text files


def write_shimmer(path, rate_hz=51.2, jitter_s=0.018, device="Shimmer_40AC", mark=";", decimal="."):
    t = times(rate_hz)
    stamps = START + t + np.random.default_rng(0).uniform(0, jitter_s, len(t)).round(6)
    names = [
        "Timestamp_Unix_CAL",
        "GSR_Range_CAL",
        "GSR_Skin_Conductance_CAL",
        "GSR_Skin_Resistance_CAL",
        "PPG_A13_CAL",
    ]
    units = ["ms", "no_units", "uS", "kOhms", "mV"]
    rows = [
        (f"{1e3 * s:.3f}", "2.0", repr(float(u)), repr(float(1000 / u)), repr(float(p)))
        for s, u, p in zip(stamps, eda(t), pulse(t) + 1500, strict=True)
    ]
    lines = [mark.join(f"{device}_{n}" for n in names) + mark, mark.join(units) + mark]
    lines += [mark.join(row).replace(".", decimal) + mark for row in rows]
    path.write_text("\n".join([f'"sep={mark}"', *lines]) + "\n")
    return stamps


def write_openbci(path, lost=(), rate_hz=250.0, index=lambda k: k % 256, header=None, stamps=None):
    """lost : numbers of samples that did not arrive"""
    t = times(rate_hz)
    stamps = START + bursts(t, 0.02) if stamps is None else stamps
    header = header or [
        "%OpenBCI Raw EXG Data", "%Number of channels = 2", f"%Sample Rate = {rate_hz:g} Hz",
        "%Board = OpenBCI_GUI$BoardCytonSerial",
    ]  # fmt: skip
    names = "Sample Index, EXG Channel 0, EXG Channel 1, Accel Channel 0, Other, Other, Timestamp, Other, "
    rows = [
        f"{index(k):.1f}, {e!r}, {p!r}, 0.5, 192.0, 0.0, {s:.6f}, 0.0, "
        f"{datetime.fromtimestamp(s, UTC):%Y-%m-%d %H:%M:%S.%f}"
        for k, (e, p, s) in enumerate(zip(eeg(t).tolist(), pulse(t).tolist(), stamps.tolist(), strict=True))
        if k not in set(lost)
    ]
    path.write_text("\n".join([*header, names + "Timestamp (Formatted)", *rows]) + "\n")


def write_older_openbci(path, rate_hz=250.0):
    """As the GUI wrote before version 5: no names of columns; the time of day and milliseconds at the end."""
    t = times(rate_hz)
    head = ["%OpenBCI Raw EEG Data", "%Number of channels = 2", f"%Sample Rate = {rate_hz} Hz"]
    head += ["%First Column = SampleIndex", "%Other Columns = EEG data in microvolts followed by Accel Data (in G)"]
    rows = [
        f"{k % 256}, {e!r}, {p!r}, 0.0, 0.0, 1.0, 22:13:20.000, {1000 * (START + s):.0f}"
        for k, (e, p, s) in enumerate(zip(eeg(t).tolist(), pulse(t).tolist(), bursts(t, 0.02).tolist(), strict=True))
    ]
    path.write_text("\n".join([*head, *rows]) + "\n")


def write_mind_monitor(path, rate_hz=256.0, seconds=SECONDS, events=True):
    """Bursts of 12 samples in milliseconds of local time; rows of events may go back in time."""
    t = times(rate_hz, seconds)
    arrivals = bursts(t, 12 / rate_hz)
    raw = ("RAW_TP9", "RAW_AF7", "RAW_AF8", "RAW_TP10")
    names = ["TimeStamp", "Delta_TP9", "Alpha_TP9", *raw, "AUX_RIGHT", "Accelerometer_X", "PPG_IR", "HeadBandOn"]
    names += ["HSI_TP9", "HSI_AF7", "Battery", "Elements"]
    lines = [",".join(names)]

    def stamp(seconds):
        return f"{datetime.fromtimestamp(START + seconds, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]

    if events:
        lines.append(stamp(arrivals[0] - 0.1) + "," * (len(names) - 2) + ",/muse/event/connected MuseS-84AC")
    for k, (s, e, p) in enumerate(zip(arrivals, 800 + eeg(t), pulse(t) + 9000, strict=True)):
        lines.append(f"{stamp(s)},0.5,0.3,800.0,{float(e)!r},799.5,801.0,0.0,0.01,{float(p)!r},1,1.0,1.0,85.0,")
        if events and any(abs(t[k] - b) < 0.5 / rate_hz for b in BLINKS_S):
            lines.append(stamp(s - 0.004) + "," * (len(names) - 1) + "/muse/elements/blink")
    path.write_text("\n".join(lines) + "\n")


def write_emotiv(path, rate_hz=128.0, samples=None, lost=(), motion=False):
    """EmotivPRO; with `motion` rows of motion, that have no electrodes, lie between."""
    t = times(rate_hz)
    stamps = START + t + 0.001 * np.sin(13 * t)
    keep = [k for k in range(len(t)) if k not in set(lost)]
    names = ["Timestamp", "OriginalTimestamp", "EEG.Counter", "EEG.Interpolated", "EEG.AF3", "EEG.T7", "EEG.RawCq"]
    names += ["EEG.Battery", "MOT.CounterMems", "CQ.AF3", "CQ.T7", "EQ.OVERALL"]
    head = f"title:twin,start timestamp:{START:.6f},stop timestamp:{START + 60:.6f},headset type:EPOCX,channels:59,"
    head += f"sampling rate:{rate_hz:g},samples:{len(keep) if samples is None else samples},version:2.1"
    lines = [head, ",".join(names)]
    for k in keep:
        e, p = float(4200 + eeg(t[k])), float(4200 + pulse(t[k]))
        lines.append(f"{stamps[k]:.6f},{stamps[k]:.6f},{k % 128},0,{e!r},{p!r},0,4,,4,4,90")
        if motion and k % 4 == 0:
            lines.append(f"{stamps[k] + 0.002:.6f},{stamps[k]:.6f},,,,,,,{k // 4 % 32},,,")
    path.write_text("\n".join(lines) + "\n")


def write_xavier(path, rate_hz=128.0, zone=False):
    """Xavier and TestBench: one header line, a counter from 0 to 128."""
    t = times(rate_hz)
    head = "title:twin, recorded:14.11.23 22.13.20, "
    head += "timestamp started:2023-11-14T22:13:20.000000+00:00, " if zone else ""
    head += f"sampling:{rate_hz:g}, subject:, labels:COUNTER INTERPOLATED AF3 T7 RAW_CQ GYROX MARKER, chan:7, "
    rows = [
        f"{k % 129}, 0, {4200 + e!r}, {4200 + p!r}, 0, 0, 0"
        for k, (e, p) in enumerate(zip(eeg(t).tolist(), pulse(t).tolist(), strict=True))
    ]
    path.write_text("\n".join([head + "units:emotiv", *rows]) + "\n")


# ---------------------------------------------------------------- BIOPAC's AcqKnowledge


def acq_channels():
    """Name, unit, divider of 1000 Hz, samples. Those of "ECG" are 16-bit integers, of 0.01 each."""
    return [
        ("EDA", "microsiemens", 50, eda(times(20))),
        ("PPG100C", "Volts", 5, pulse(times(200))),
        ("Fp1", "uV", 2, eeg(times(500))),
        ("ECG", "mV", 1, pulse(times(1000)) / 100),
    ]


def acq_bytes(revision=38, channels=None, markers=(), compressed=False, order="<"):
    """A file of AcqKnowledge 3.7 (38) or 4 and 5 (61 on), after BIOPAC's application note 156 and bioread's headers.

    markers : (sample, type of 4 letters, milliseconds since 1970, text)
    """
    channels = channels or acq_channels()
    late = revision >= 61
    graph = bytearray(4000)
    struct.pack_into(f"{order}hiihhh", graph, 0, 0, revision, len(graph), len(channels), 0, 0)
    struct.pack_into(f"{order}d", graph, 16, 1.0)  # milliseconds between samples
    if compressed:
        struct.pack_into(f"{order}i", graph, 972, 1)
    content = bytes(graph)
    for k, (name, unit, divider, x) in enumerate(channels):
        head = struct.pack(f"{order}ih40s4shdd", 254 if not late else 156, k, name.encode(), b"", 0, 0, 0)
        head += struct.pack(f"{order}20siddhh", unit.encode(), len(x), 0.01, 0.0, k, 0)
        head += (
            struct.pack(f"{order}40sh", b"", divider) if late else struct.pack(f"{order}hd128sh", 0, 0, b"", divider)
        )
        content += head.ljust(254 if not late else 156, b"\0")
    content += struct.pack(f"{order}i", 4) if late else struct.pack(f"{order}hh", 4, 0)
    whole = [name == "ECG" for name, *_ in channels]
    content += b"".join(struct.pack(f"{order}hh", 2 if w else 8, 2 if w else 1) for w in whole)
    sample_order = "<" if compressed else order
    raw = [np.rint(x / 0.01).astype(f"{sample_order}i2") if w else np.asarray(x, f"{sample_order}f8")
           for w, (*_, x) in zip(whole, channels, strict=True)]  # fmt: skip
    if not compressed:
        content += _interleaved(raw, [divider for *_, divider, _ in channels])
    content += _late_markers(revision, markers, order) if late else struct.pack(f"{order}ii", 8, 0)
    content += struct.pack(f"{order}i", 4) if late else b"\x44\x33\x22\x11" + struct.pack(f"{order}hi", 0, 0)
    if compressed:
        content += struct.pack(f"{order}24sii20s", b"", 0, 0, b"") + (bytes(6) if revision >= 108 else b"")
        for (name, unit, *_), x in zip(channels, raw, strict=True):
            packed = zlib.compress(x.tobytes())
            content += bytes(44) + struct.pack(f"{order}iiii", len(name), len(unit), x.nbytes, len(packed))
            content += name.encode() + unit.encode() + packed
    return content


def _interleaved(raw, dividers):
    """Each sample at its step of the file's rate, the channels of one step in their order."""
    pieces = [
        (at * divider, k, content[at * size : (at + 1) * size])
        for k, (x, divider) in enumerate(zip(raw, dividers, strict=True))
        for content, size in [(x.tobytes(), x.itemsize)]
        for at in range(len(x))
    ]
    return b"".join(piece for *_, piece in sorted(pieces, key=lambda one: one[:2]))


def _late_markers(revision, markers, order):
    content = struct.pack(f"{order}iii6s5sh", 0, len(markers) + 1, len(markers), b"", b"", 0)
    content += (bytes(8) if revision >= 121 else b"") + (bytes(8) if revision >= 128 else b"")
    for sample, kind, created_ms, text in markers:
        content += struct.pack(f"{order}I4sh4s", sample, b"", -1, kind.encode())
        content += struct.pack(f"{order}Q", created_ms) if revision >= 128 else b""
        content += (bytes(8) if revision >= 121 else b"") + struct.pack(f"{order}h", len(text) + 1)
        content += text.encode() + b"\0"
    return content
