"""Every setting of the package, each with its unit, its meaning and where it is from.

The one source of defaults: the command line, YAML files and Python calls all build these dataclasses. A comment
`ours` marks a value that the paper (Yu et al. 2025) does not give; docs/method.md has the reasons.
"""

from dataclasses import asdict, dataclass, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from .errors import BadConfig

T = TypeVar("T")

Modality = Literal["facebio", "face", "bio", "eeg", "peri", "faceeeg", "faceperi"]
Target = Literal["valence", "arousal"]
Protocol = Literal["window", "trial", "stimulus", "subject", "subject+stimulus"]
Scope = Literal["pooled", "per-subject"]
Variant = Literal["micro", "small", "atto", "femto", "pico", "nano", "tiny"]

MODALITIES: tuple[str, ...] = get_args(Modality)
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
RATINGS = ("valence", "arousal", "dominance", "liking", "familiarity", "control", "predictability")  # each 1 to 9


def uses_face(modality: str) -> bool:
    return modality.startswith("face")


def uses_signals(modality: str) -> bool:
    return modality != "face"


def require(true: Any, message: str) -> None:
    if not true:
        raise BadConfig(message)


@dataclass(frozen=True)
class SynthConfig:
    """A synthetic corpus: how large, and what is planted in it.

    A synthetic MAHNOB-HCI has what DEAP has not: films of different lengths, 30 s of signals before and after each, a
    video that starts at another moment each time, ratings in whole numbers, and two sessions that are no recordings.
    """

    subjects: int = 4
    """number of people, at most 32 (MAHNOB-HCI 27)"""
    trials: int = 12
    """trials a person, at most 40 (MAHNOB-HCI 20)"""
    seconds: int = 6
    """length of a trial without what is before and after it, at most 60 (MAHNOB-HCI: of the shortest film, at most 115;
    the others have up to 2 s more)"""
    effect: float = 1.0
    """strength of all label evidence; 0 plants none, and then nothing but leakage can be learnt"""
    face: float = 1.0
    """share of the rating that only the face shows; with `signals` also 1, each modality tells half of the truth"""
    signals: float = 1.0
    """share of the rating that only the signals show"""
    fingerprint: float = 1.0
    """strength of what marks each person and each trial in spectrum, gain and drift: the bait for leaky protocols"""
    evidence: tuple[str, ...] | None = None
    """EEG channels that alone carry what the signals show (F3,C4,O1), as more alpha and more fast activity; if not
    given the whole of the EEG, muscles, skin and heart do"""
    face_evidence: Literal["mouth"] | None = None
    """mouth: of the face nothing moves with the ratings but the mouth; brows, lids and mouth if not given"""
    videos: int | None = None
    """how many of the people are filmed, from the first on; all if not given"""
    raw: bool = False
    """also write DEAP's original recordings of the same trials, data_original (MAHNOB-HCI has no others)"""
    seed: int = 0
    """the same seed writes the same corpus"""

    def __post_init__(self) -> None:
        require(1 <= self.subjects <= 32, f"subjects must be 1 to 32, not {self.subjects}")
        require(1 <= self.trials <= 40, f"trials must be 1 to 40, not {self.trials}")
        require(1 <= self.seconds <= 115, f"seconds must be 1 to 115, not {self.seconds}")
        require(self.effect >= 0, f"effect must not be negative, and is {self.effect}")
        require(self.face >= 0 and self.signals >= 0, "face and signals must not be negative")
        require(self.face + self.signals > 0, "face and signals must not both be 0")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")
        require(self.fingerprint >= 0, f"fingerprint must not be negative, and is {self.fingerprint}")


@dataclass(frozen=True)
class PrepareConfig:
    """What makes a store. Another value here is another store; how many processes made it is not."""

    window_s: float = 1.0
    """length of a window, seconds (paper: 1-second windows)"""
    step_s: float | None = None
    """from the start of a window to the next, seconds; the window's length if not given (paper: non-overlapping)"""
    faces: bool = True
    """prepare the face videos"""
    signals: bool = True
    """prepare the physiological signals"""
    frames_per_window: int | None = None
    """face frames a window, evenly spaced; if not given 10 a second for DEAP, 12 for MAHNOB-HCI (paper)"""
    face_side: int = 64
    """side of a stored face, pixels (ours: the paper gives none)"""
    landmarks: Literal["mediapipe", "dlib", "fan"] = "mediapipe"
    """who finds the 68 face landmarks; dlib and fan need their extra installed"""
    channels: tuple[str, ...] | None = None
    """names of the signal channels to keep, in this order; all of the corpus if not given"""
    filter: bool = True
    """filter each kind of signal as docs/method.md says; what the corpus has filtered already is left alone"""
    baseline: Literal["mean", "none", "template"] = "mean"
    """subtract each channel's mean over the 3 s before the stimulus; `template` (the mean of three 1-s windows, as
    older code does) stamps one waveform on a whole trial, which leaks under the window protocol"""

    def __post_init__(self) -> None:
        require(self.window_s > 0, f"window_s must be above 0, not {self.window_s}")
        require(self.step_s is None or self.step_s > 0, f"step_s must be above 0, not {self.step_s}")
        require(self.faces or self.signals, "faces and signals are both off: nothing to prepare")
        frames = self.frames_per_window
        require(frames is None or 1 <= frames <= 256, f"frames_per_window must be 1 to 256, not {frames}")
        require(32 <= self.face_side <= 512, f"face_side must be 32 to 512 pixels, not {self.face_side}")
        require(self.channels is None or len(self.channels) > 0, "channels names no channel")
        twice = sorted({c for c in self.channels or () if (self.channels or ()).count(c) > 1})
        require(not twice, f"channels names {', '.join(twice)} more than once")
        require(
            self.baseline != "template" or self.window_s == 1,
            f"baseline template is made of 1-s windows and needs window_s 1, not {self.window_s}",
        )


@dataclass(frozen=True)
class ModelConfig:
    """The shape of GBV-Net that is a matter of choice. The defaults are docs/method.md's."""

    variant: Variant = "atto"
    """size of the ConvNeXt V2 face encoder (paper: "simplified" in the text, "Tiny" in the conclusions)"""
    face_time: Literal["transformer", "none"] = "transformer"
    """how frames are joined: a 2-layer Transformer encoder (paper), or their plain mean"""
    local_cnn: bool = True
    """the two convolutions of Eq. 3; off: one 1x1 projection of the channels to 24 in their place"""
    tcn: Literal["sequential", "parallel", "none"] = "sequential"
    """three dilated layers in a row (the paper's text), Eq. 4 literally (three branches summed), or none: one 1x1
    projection of the 24 to 8 channels in their place"""
    self_attention: bool = True
    """the self-attention of Eq. 5, with the norm before it; off: the rest of that block stays"""
    residual: bool = True
    """the residual of Eq. 5 onto the TCN's output"""
    pooling: Literal["adaptive", "mean"] = "adaptive"
    """of the signals over time: to 16 places (paper: "adaptive pooling"), or one mean over the whole window"""
    fusion: Literal["gate", "literal", "concat", "sum"] = "gate"
    """FC stack and sigmoid (the paper's text), Eq. 6 literally (no weights), concatenation, or a sum"""
    dropout: float = 0.5
    """in the classifier (ours)"""
    modality_dropout: float = 0.1
    """chance that a training window loses one modality, each, never both (ours); 0 and a missing one is refused"""

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, f"model.dropout must be in [0, 1), not {self.dropout}")
        require(
            0 <= self.modality_dropout <= 0.5,
            f"model.modality_dropout must be in [0, 0.5], not {self.modality_dropout}: each modality is dropped "
            "with this chance, and never both",
        )


@dataclass(frozen=True)
class GBVNetConfig(ModelConfig):
    """The whole shape of a GBV-Net: what was chosen, and what follows from the data it reads."""

    modality: Modality = "facebio"
    """what goes in"""
    n_channels: int = 40
    """signal channels, C"""
    n_samples: int = 128
    """signal samples a window, L"""
    n_frames: int = 10
    """face frames a window, F"""
    n_outputs: int = 1
    """logits; 1, or 2 when valence and arousal are trained jointly"""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("n_channels", "n_samples", "n_frames", "n_outputs"):
            require(getattr(self, name) >= 1, f"model.{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained."""

    epochs: int = 50
    """at most (ours)"""
    batch_size: int | None = None
    """windows a step; if not given 256 (paper), or less on small data: the power of two at most n_train / 16, at
    least 16"""
    learning_rate: float = 1e-3
    """of Adam (paper)"""
    select: Literal["validation", "last", "test"] = "validation"
    """which epoch is kept: the best loss on the validation groups, or the last one; `test`, the best on the test
    windows themselves, exists only in recipes stamped leaky"""
    patience: int = 10
    """epochs without a better validation loss before training stops (ours)"""
    augment: bool = True
    """augment faces and signals in training as the paper names it"""
    corrupt: float = 0.0
    """share of the training windows in which one modality, face or signals, is spoilt: noise is mixed in, or a part is
    covered, at a random strength; so that the gate can learn whom to trust (ours)"""
    face_weights: str | None = None
    """a local file of public ConvNeXt V2 weights of the same variant, as the start of GBV-Net's face encoder
    (.safetensors, or .pt and .pth of tensors alone); if not given it starts from the seed"""
    normalise: Literal["train", "subject"] = "train"
    """z-score of each channel fitted on the training rows, or on each person without labels (transductive)"""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """auto: bf16 on a GPU that has it, else 32 bit"""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """where to train"""
    compile: bool = False
    """torch.compile the network"""
    devices: int = 1
    """GPUs (on a CPU: processes) that train one model together, each on its share of a batch; for `gbvnet train`"""
    memory_gib: float = 8.0
    """windows are kept in memory (on the device, if there is one) up to this size, else read as they are needed"""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"train.epochs must be at least 1, not {self.epochs}")
        require(
            self.batch_size is None or self.batch_size >= 2,
            f"train.batch_size must be at least 2 (batch normalisation needs two), not {self.batch_size}",
        )
        require(self.learning_rate > 0, f"train.learning_rate must be above 0, not {self.learning_rate}")
        require(0 <= self.corrupt <= 1, f"train.corrupt must be in [0, 1], not {self.corrupt}")
        require(self.patience >= 1, f"train.patience must be at least 1, not {self.patience}")
        require(self.devices >= 1, f"train.devices must be at least 1, not {self.devices}")
        require(self.memory_gib >= 0, f"train.memory_gib must not be negative, and is {self.memory_gib}")


@dataclass(frozen=True)
class RivalConfig:
    """What can be chosen of the rival systems. The defaults are each system's own; a system takes what concerns it."""

    feature_set: Literal["statistical", "fractal", "hjorth", "hos", "wavelet"] = "fractal"
    """yuvaraj-like: which numbers are drawn from each channel (its source finds fractal with cart the best)"""
    classifier: Literal["cart", "svm"] = "cart"
    """yuvaraj-like: a decision tree, or a support vector machine with a Gaussian kernel"""
    svm_windows: int = 10_000
    """yuvaraj-like, huang: a support vector machine learns from so many training windows at most, drawn by seed
    and evenly over trials (ours): its time grows with their square"""
    head: Literal["elm", "mlp"] = "elm"
    """siddharth-like: an extreme learning machine (ridge on random features), or a network with one hidden layer"""
    fusion: Literal["enumerate", "adaboost"] | None = None
    """huang and mindlink-eumpy: how face and EEG are weighed; if not given as the system has it"""
    adaboost_log: bool = True
    """huang and mindlink-eumpy: AdaBoost's weight with its logarithm; off, as in the published code, which lacks it"""

    def __post_init__(self) -> None:
        require(self.svm_windows >= 10, f"rival.svm_windows must be at least 10, not {self.svm_windows}")


@dataclass(frozen=True)
class SplitConfig:
    """Who is trained on and who is tested on."""

    protocol: Protocol = "trial"
    """what may not be on both sides; `window` (the paper's) lets windows of one trial be on both, and so leaks"""
    scope: Scope = "pooled"
    """all people together, or a cross-validation within each person"""
    folds: int = 10
    """number of folds (paper: 10)"""
    stratify: bool = False
    """balance the labels over the folds; uses labels to split, and says so in the run"""
    fixed: str | None = None
    """fixed folds by name, so that papers can report on the same ones: deap-v1, mahnob-v1, or a JSON
    file"""
    validation: float = 0.2
    """share of the training groups kept back for the choice of the epoch (ours)"""
    seed: int = 0
    """of the splits, the weights' start, the order of windows and the augmentation"""

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"folds must be at least 2, not {self.folds}")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")
        require(0 < self.validation < 1, f"validation must be between 0 and 1, not {self.validation}")
        require(
            self.scope == "pooled" or "subject" not in self.protocol,
            f"protocol {self.protocol} holds people out, and scope per-subject stays within one: choose one of them",
        )
        require(not (self.fixed and self.stratify), "fixed and stratify exclude each other")
        require(
            not (self.fixed and (self.protocol == "window" or self.scope == "per-subject")),
            "fixed holds folds of trials, stimuli and subjects over all people, "
            f"not for protocol {self.protocol} with scope {self.scope}",
        )


@dataclass(frozen=True)
class CrossvalConfig(SplitConfig):
    """A cross-validation: which system, on what, split how, trained how."""

    system: str = "gbvnet"
    """which system; a file in gbvnet/systems"""
    modality: Modality = "facebio"
    """what the system sees: face, bio (all signals), eeg, peri (the other signals), or face with one of them"""
    target: Literal["valence", "arousal", "both"] = "both"
    """what is predicted; `both` are two trainings a fold (paper), or one with --joint"""
    joint: bool = False
    """one training with two logits"""
    threshold: Literal[">=5", ">5", "median"] = ">=5"
    """which ratings are high (paper: not given); median is each person's own and part of the target's definition"""
    subjects: tuple[str, ...] | None = None
    """only these people, by name (s01,s05); all if not given"""
    shuffle_labels: int | None = None
    """a probe: permute the labels of trials within each person with this seed; nothing is then left to learn"""
    recipe: str | None = None
    """the recipe that this run is part of; set by `gbvnet reproduce`"""
    rows: Literal["complete", "any"] = "complete"
    """complete: score only windows with every modality that the store has, so that all systems are scored on the same
    ones; any: with any of the modalities that the system uses"""
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    rival: RivalConfig = field(default_factory=RivalConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.subjects is None or self.subjects, "subjects names nobody: leave it out for all")
        require(not self.joint or self.target == "both", f"--joint trains both targets, not {self.target} alone")
        require(
            self.train.select != "test" or (self.recipe and self.protocol == "window"),
            "train.select test chooses the epoch by the windows it is tested on; only recipes stamped leaky do that, "
            "to reproduce code that does",
        )


@dataclass(frozen=True)
class AuditConfig(CrossvalConfig):
    """What is audited, and how far: a cross-validation's settings, but the protocol, of which it goes through all."""

    target: Literal["valence", "arousal", "both"] = "valence"
    """what is predicted; an audit is of one target"""
    protocols: tuple[Protocol, ...] = PROTOCOLS  # type: ignore[assignment]
    """the rungs of the ladder"""
    shuffles: int = 3
    """how often the labels of trials are shuffled and the system trained on them under the LEAKY protocol"""
    baselines: bool = True
    """the baseline's rung: what subtracting none, the mean or a template gives away to a nearest neighbour, a ridge
    classifier and the signal branch"""
    identities: bool = True
    """how well person and trial can be told from a window"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.target != "both", "an audit is of one target: give --target valence or --target arousal")
        require(self.scope == "pooled", "an audit is of all people together: scope must be pooled")
        require(self.shuffle_labels is None, "an audit shuffles labels by itself: leave shuffle_labels out")
        require(not self.fixed, "an audit splits in ways that fixed folds do not have: leave fixed out")
        require(self.shuffles >= 1, f"shuffles must be at least 1, not {self.shuffles}")
        unknown = [name for name in self.protocols if name not in PROTOCOLS]
        require(not unknown, f"no protocol {', '.join(unknown)}; there are {', '.join(PROTOCOLS)}")
        honest = [name for name in self.protocols if name != "window"]
        require("window" in self.protocols and honest, "an audit needs protocol window and at least one honest one")

    def crossval(self, **changes: Any) -> CrossvalConfig:
        """The settings of one of its cross-validations."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | changes))


@dataclass(frozen=True)
class CompareConfig(CrossvalConfig):
    """Which systems are compared, and how each of them is cross-validated: the same windows, folds and seed for all."""

    systems: tuple[str, ...] = ("all",)
    """their names (gbvnet,deepvanet,zhu); all: every system there is, and gbvnet:shuffled, which is GBV-Net trained on
    labels that mean nothing; a name may say what it sees (gbvnet:bio), else each sees what it was made for"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.systems, "systems names no system; give all, or names with commas between")
        require(self.shuffle_labels is None, "a comparison on shuffled labels is none: name a system NAME:shuffled")
        require(not self.joint, "joint trains both targets at once, which only some systems can: leave it out")

    def crossval(self, **changes: Any) -> CrossvalConfig:
        """The settings of one system's cross-validation."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | changes))


@dataclass(frozen=True)
class FinalConfig(CrossvalConfig):
    """How a model for use is trained: on everything, but for a share by which its epoch is chosen."""

    exclude: tuple[str, ...] = ()
    """recordings, by name, that it must not see"""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.system == "gbvnet", f"a model for use is a GBV-Net, not {self.system}")
        require(self.protocol != "window", "protocol window would choose the epoch by windows of trials it knows")
        require(self.scope == "pooled", "a model for use is of all people together: leave scope pooled")
        require(self.shuffle_labels is None, "labels that mean nothing make no model for use")

    def crossval(self) -> CrossvalConfig:
        """The settings of its training: both targets are two outputs of one network."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | {"joint": self.target == "both"}))


@dataclass(frozen=True)
class LiveSources:
    """Where frames and signals come from, and how they are taken."""

    video: str | None = None
    """the number of a camera (0), or a video file to play; camera 0 if nothing at all is given"""
    signals: Path | None = None
    """a signal file to play"""
    lsl: str | None = None
    """the name of an LSL stream"""
    signals_rate_hz: float | None = None
    """of a CSV or TSV file without a column `time`"""
    signals_unit: Literal["uV", "mV", "V"] = "uV"
    """of electrical channels in a CSV or TSV file"""
    video_offset_s: float = 0.0
    """the video file's clock less the signal file's clock, seconds"""
    fast: bool = False
    """play files as fast as possible instead of in real time"""
    baseline_start_s: float | None = None
    """start of the baseline period, seconds on the signals' clock; default: the first sample"""
    running_s: float | None = None
    """take off the mean of so many seconds right before each window instead"""
    step_s: float | None = None
    """from one window to the next; the windows' own length if not given"""

    def __post_init__(self) -> None:
        require(self.signals is None or self.lsl is None, "--signals and --lsl: give one of them")
        for name in ("signals_rate_hz", "running_s", "step_s"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} must be above 0, not {value}")
        require(not (self.fast and self.devices), "--fast is for files: a camera or an LSL stream comes as it comes")

    @property
    def devices(self) -> bool:
        """Whether anything comes as it comes, and cannot be had faster."""
        return self.lsl is not None or (self.video or "").isdigit()


@dataclass(frozen=True)
class Times:
    """Where the part of a recording that a model is asked about lies. Seconds on the signals' clock, on the video's
    where there are none."""

    start_s: float = 0.0
    """its start; where the signals' clock begins later, that"""
    stop_s: float | None = None
    """its end; if not given, that of the shorter of video and signals"""
    baseline_start_s: float | None = None
    """where the rest before it starts; right before it if not given, or its own first seconds if it starts too early"""
    video_offset_s: float = 0.0
    """the video's clock less the signals' clock"""
    signals_rate_hz: float | None = None
    """of a CSV or TSV file without a column `time`"""
    signals_unit: str = "uV"
    """of electrical channels in a CSV or TSV file: uV, mV or V"""

    def __post_init__(self) -> None:
        require(self.start_s >= 0, f"times.start_s must not be negative, and is {self.start_s:g}")
        for name in ("start_s", "stop_s", "baseline_start_s", "video_offset_s"):
            value = getattr(self, name)
            require(value is None or abs(value) < 1e10, f"times.{name} must be a number of seconds, not {value}")
        require(
            self.signals_unit in ("uV", "mV", "V"), f"times.signals_unit must be uV, mV or V, not {self.signals_unit}"
        )
        rate = self.signals_rate_hz
        require(rate is None or 0 < rate < 1e6, f"times.signals_rate_hz must be above 0, not {rate}")


@dataclass(frozen=True)
class ExplainConfig:
    """How closely a finished run is looked into."""

    windows: int = 512
    """test windows of each fold at most, drawn at random"""
    grid: int = 8
    """patches across a face, and as many down, that are painted over one after the other"""
    seed: int = 0
    """of the draw of windows, the permutation of channels and the noise"""

    def __post_init__(self) -> None:
        require(self.windows >= 2, f"windows must be at least 2, not {self.windows}")
        require(1 <= self.grid <= 64, f"grid must be 1 to 64, not {self.grid}")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")


def to_dict(config: Any) -> dict:
    """The settings as plain, JSON- and YAML-ready data (tuples become lists)."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}


# Settings whose names or values were others in files of earlier versions, by their dotted path.
FORMER_NAMES = {"inner": "validation"}  # former name of a setting: its present name
FORMER_VALUES = {"train.select": {"inner": "validation"}}  # setting: {former value: present value}


def present_names(values: dict, group: str = "") -> dict:
    """Return settings read from a file with former names and values replaced by the present ones; others are kept.

    group : the dotted path of these settings, "" or with a dot at its end
    Raises BadConfig if a setting is there under both of its names.
    """
    renamed: dict = {}
    for name, value in values.items():
        new = FORMER_NAMES.get(f"{group}{name}", name)
        require(new == name or new not in values, f"{group}{name} is the former name of {group}{new}: give one of them")
        if isinstance(value, dict):
            value = present_names(value, f"{group}{name}.")
        elif isinstance(value, str):
            value = FORMER_VALUES.get(f"{group}{new}", {}).get(value, value)
        renamed[new] = value
    return renamed


def former_names(flat: dict[str, Any]) -> dict[str, Any]:
    """Return settings by dotted path with the first version's names and values, so that their digest stays the same."""
    names = {new: name for name, new in FORMER_NAMES.items()}
    values = {path: {new: old for old, new in table.items()} for path, table in FORMER_VALUES.items()}
    return {
        names.get(path, path): values[path].get(value, value) if path in values else value
        for path, value in flat.items()
    }


def from_dict(cls: type[T], values: dict, where: str = "") -> T:
    """Return a settings dataclass rebuilt from `to_dict`'s data, of this version or an earlier one.

    where : what messages put before the name of a setting ("crossval.")
    Raises BadConfig for a name that is no setting, with the nearest one.
    """
    return _from_dict(cls, present_names(values), where)


def _from_dict(cls: type[T], values: dict, where: str) -> T:
    known = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    made = {}
    for name, value in values.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise BadConfig(
                f"no setting {where}{name}"
                + (f"; did you mean {where}{near[0]}?" if near else f"; there are {', '.join(known)}")
            )
        kind = known[name].type
        if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
            value = _from_dict(kind, value, f"{where}{name}.")
        made[name] = tuple(value) if isinstance(value, list) else value
    return cls(**made)
