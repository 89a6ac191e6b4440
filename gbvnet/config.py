"""Every setting of the package, each with its unit, its meaning and its source.

The one source of defaults: the command line, YAML files and Python calls all build these dataclasses, and the texts
below the fields are the help of the command line. "Implementation choice" marks a value that the paper (Yu et al.
2025) does not give; docs/method.md has the reasons.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_args

from typing_extensions import override

from .errors import BadConfig
from .former_settings import present_names
from .text import did_you_mean

T = TypeVar("T")

_NEEDS_LAG = "give lag_s in seconds; crossval with --lag_s search says which lags fit"

Modality = Literal["facebio", "face", "bio", "eeg", "peri", "faceeeg", "faceperi"]
Target = Literal["valence", "arousal"]
Task = Literal["binary", "multiclass", "regression"]
Protocol = Literal["window", "trial", "stimulus", "subject", "subject+stimulus"]
Scope = Literal["pooled", "per-subject"]
Variant = Literal["micro", "small", "atto", "femto", "pico", "nano", "tiny"]

MODALITIES: tuple[str, ...] = get_args(Modality)
PROTOCOLS: tuple[str, ...] = get_args(Protocol)
GATED_FUSIONS = ("gate", "literal", "experts")  # of ModelConfig.fusion: those that weigh modalities by gates
PRUNE_SETTINGS = ("prune", "prune_by", "prune_stages", "prune_epochs")  # of a cross-validation
RATINGS = ("valence", "arousal", "dominance", "liking", "familiarity", "control", "predictability")  # each 1 to 9


def uses_face(modality: str) -> bool:
    """Return whether a system of this modality sees faces."""
    return modality.startswith("face")


def uses_signals(modality: str) -> bool:
    """Return whether a system of this modality sees physiological signals."""
    return modality != "face"


def is_transductive(modality: str, settings: Mapping[str, Any]) -> bool:
    """Return whether a run scales signals by all windows of each subject, the tested ones included, in any fold.

    settings : of the run, as in config.yaml; `tuning` has those of a search in each fold
    """
    train, tuning = settings.get("train"), settings.get("tuning")
    space = tuning.get("space") if isinstance(tuning, dict) else None
    searched = space.get("train.normalise") if isinstance(space, dict) else None
    given = [train.get("normalise") if isinstance(train, dict) else None]
    return uses_signals(modality) and "subject" in (searched if isinstance(searched, list) else given)


def require(condition: Any, message: str) -> None:
    """Raise BadConfig with `message` unless the condition holds."""
    if not condition:
        raise BadConfig(message)


@dataclass(frozen=True)
class SynthConfig:
    """A synthetic corpus: its size, and the effects that it contains.

    Each format in gbvnet/datasets/synthetic has a subclass `Settings` with its limits and options.
    """

    limits: ClassVar[dict[str, int]] = {}  # setting -> its largest value in this format

    subjects: int = 4
    """number of subjects"""
    trials: int = 12
    """trials per subject"""
    seconds: int = 6
    """length of a stimulus in seconds, without the signals before and after it"""
    effect: float = 1.0
    """strength of all effects of the ratings; with 0 there are none, and only leakage can give a score above chance"""
    face: float = 1.0
    """weight of the part of the rating that only the face shows; face 1 and signals 1 give each modality one half"""
    signals: float = 1.0
    """weight of the part of the rating that only the signals show"""
    fingerprint: float = 1.0
    """strength of the spectrum, gain and drift that identify each subject and trial; leaky protocols score by them"""
    evidence: tuple[str, ...] | None = None
    """the only EEG channels with an effect of the rating (F3,C4,O1), as more alpha and more fast activity; default:
    all EEG channels, muscles, skin and heart"""
    face_evidence: Literal["mouth"] | None = None
    """mouth: only the mouth moves with the ratings; default: brows, eyelids and mouth"""
    videos: int | None = None
    """number of subjects with a face video, beginning with the first; default: all"""
    seed: int = 0
    """seed of the random numbers; the same seed gives the same corpus"""

    def __post_init__(self) -> None:
        for name in ("subjects", "trials", "seconds"):
            most, value = self.limits.get(name), getattr(self, name)
            allowed = f"1 to {most} here" if most else "at least 1"
            require(1 <= value <= (most or value), f"{name} must be {allowed}, not {value}")
        require(self.effect >= 0, f"effect must not be negative, and is {self.effect}")
        require(self.face >= 0 and self.signals >= 0, "face and signals must not be negative")
        require(self.face + self.signals > 0, "face and signals must not both be 0")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")
        require(self.fingerprint >= 0, f"fingerprint must not be negative, and is {self.fingerprint}")


@dataclass(frozen=True)
class PrepareConfig:
    """How a store is prepared. Every setting is part of the store's identity; the number of processes is not."""

    window_s: float = 1.0
    """length of a window in seconds (paper: 1)"""
    step_s: float | None = None
    """seconds from the start of one window to the start of the next; default: window_s (paper: no overlap)"""
    faces: bool = True
    """prepare the face videos"""
    signals: bool = True
    """prepare the physiological signals"""
    frames_per_window: int | None = None
    """face frames per window, evenly spaced; default: 10 per second for DEAP, 12 for MAHNOB-HCI (paper)"""
    store_faces: Literal["pixels", "features", "both"] = "pixels"
    """pixels: pictures of the face; features: 52 expression coefficients and the head pose a frame, or what the corpus
    brings instead, and no picture; both"""
    face_side: int = 64
    """height and width of a stored face in pixels (implementation choice; the paper gives none)"""
    landmarks: Literal["mediapipe", "dlib", "fan"] = "mediapipe"
    """detector of the 68 face landmarks; dlib and fan need their optional packages"""
    landmark_every: int = 1
    """detect landmarks in every N-th face frame at least, and follow the points in between, which is faster: with 2, in
    real films, they are 0.2 pixels of a 64-pixel face from those of 1; the expression in between is interpolated"""
    channels: tuple[str, ...] | None = None
    """names of the signal channels to store, in this order; default: all of the corpus"""
    filter: bool = True
    """filter each kind of signal as docs/method.md describes; signals that the corpus
    has filtered are not filtered again"""
    baseline: Literal["mean", "none", "template"] = "mean"
    """mean: subtract each channel's mean over the baseline before the stimulus (3 s in DEAP and MAHNOB-HCI); template:
    subtract the mean waveform of its seconds, as older code does, which marks all windows of a trial and so leaks under
    protocol window"""

    def __post_init__(self) -> None:
        require(self.window_s > 0, f"window_s must be above 0, not {self.window_s}")
        require(self.step_s is None or self.step_s > 0, f"step_s must be above 0, not {self.step_s}")
        require(self.faces or self.signals, "faces and signals are both off: nothing to prepare")
        require(
            self.faces or self.store_faces == "pixels", f"store_faces is {self.store_faces}, and faces are switched off"
        )
        require(
            self.store_faces == "pixels" or self.landmarks == "mediapipe",
            f"store_faces {self.store_faces} needs landmarks mediapipe: {self.landmarks} gives no features of a face",
        )
        require(1 <= self.landmark_every <= 10, f"landmark_every must be 1 to 10, not {self.landmark_every}")
        require(
            self.landmark_every == 1 or self.store_faces == "pixels",
            f"store_faces {self.store_faces} needs the landmark network in every frame: landmark_every must be 1",
        )
        frames = self.frames_per_window
        require(frames is None or 1 <= frames <= 256, f"frames_per_window must be 1 to 256, not {frames}")
        require(32 <= self.face_side <= 512, f"face_side must be 32 to 512 pixels, not {self.face_side}")
        require(self.channels is None or len(self.channels) > 0, "channels names no channel")
        twice = sorted({c for c in self.channels or () if (self.channels or ()).count(c) > 1})
        require(not twice, f"channels names {', '.join(twice)} more than once")
        require(
            self.baseline != "template" or self.window_s == 1,
            f"baseline template consists of 1-s windows and needs window_s 1, not {self.window_s}",
        )


@dataclass(frozen=True)
class ModelConfig:
    """The architecture of GBV-Net, as far as it can be chosen. docs/method.md gives the reasons for the defaults."""

    variant: Variant = "atto"
    """size of the ConvNeXt V2 face encoder (paper: "simplified" in the text, "Tiny" in the conclusions)"""
    face_input: Literal["pixels", "features"] = "pixels"
    """what is read of a face: pictures (paper), by the ConvNeXt V2; or features (--store_faces of gbvnet prepare),
    z-scored by the training frames, by one layer a frame"""
    face_time: Literal["transformer", "none"] = "transformer"
    """how the frames of a window are combined: a 2-layer Transformer encoder (paper), or their mean alone"""
    local_cnn: bool = True
    """use the two convolutions of Eq. 3; false: one 1x1 projection of the channels to 24 instead"""
    tcn: Literal["sequential", "parallel", "none"] = "sequential"
    """sequential: three dilated layers in series (the paper's text); parallel: Eq. 4 literally, the sum of three
    branches; none: one 1x1 projection of the 24 to 8 channels instead"""
    self_attention: bool = True
    """use the self-attention of Eq. 5 and the norm before it; false: the other layers of that block are kept"""
    residual: bool = True
    """add the TCN's output to the block's (the residual of Eq. 5)"""
    pooling: Literal["adaptive", "mean"] = "adaptive"
    """pooling of the signals over time: to 16 positions (paper: "adaptive pooling"), or one mean over the window"""
    fusion: Literal["gate", "literal", "concat", "sum", "low_rank", "cross_attention", "experts"] = "gate"
    """gate: fully connected layers and a sigmoid (the paper's text); literal: Eq. 6 literally, without weights; concat:
    concatenation; sum: sum of both projections; of other papers low_rank: low-rank tensor fusion; cross_attention: each
    modality attends to the other; experts: a mixture of one expert a modality"""
    dropout: float = 0.5
    """dropout rate in the classifier (implementation choice)"""
    modality_dropout: float = 0.1
    """probability that a training window loses its face, and the same for its signals, never both (implementation
    choice); with 0 every window must have both modalities"""

    def __post_init__(self) -> None:
        require(0 <= self.dropout < 1, f"model.dropout must be in [0, 1), not {self.dropout}")
        require(
            0 <= self.modality_dropout <= 0.5,
            f"model.modality_dropout must be in [0, 0.5], not {self.modality_dropout}: each modality is dropped "
            "with this chance, and never both",
        )


@dataclass(frozen=True)
class Widths:
    """The widths of the layers of a pruned GBV-Net, in channels. An empty one: as in the whole network.

    gbvnet/network/pruning.py says what each of them is, and makes a network of them.
    """

    stages: tuple[int, ...] = ()
    """of the four stages of the ConvNeXt V2"""
    blocks: tuple[int, ...] = ()
    """between the two 1x1 convolutions of each of its blocks, four times the stage's in the whole network"""
    frames: tuple[int, ...] = ()
    """between the two linear layers of each layer of the Transformer over frames, 256 in the whole network"""
    local: tuple[int, ...] = ()
    """of the two convolutions of Eq. 3 (32 and 24), or of the one projection in their place (24)"""
    medium: tuple[int, ...] = ()
    """of the first two layers of the sequential TCN (16 and 16); none of the others"""
    wide: tuple[int, ...] = ()
    """between the two linear layers of Eq. 5 (64)"""

    def __post_init__(self) -> None:
        for f in fields(self):
            widths = getattr(self, f.name)
            good = isinstance(widths, tuple) and all(type(width) is int and width >= 1 for width in widths)
            require(good, f"widths.{f.name} must be a list of whole numbers from 1, not {widths!r}")


@dataclass(frozen=True)
class GBVNetConfig(ModelConfig):
    """The complete architecture of a GBV-Net: the chosen part, and the sizes that follow from its data."""

    modality: Modality = "facebio"
    """modalities that the network sees"""
    n_channels: int = 40
    """number of signal channels, C"""
    n_samples: int = 128
    """signal samples per window, L"""
    n_frames: int = 10
    """face frames per window, F"""
    n_outputs: int = 1
    """number of logits, K; 1, or 2 if valence and arousal are trained jointly"""
    n_face_features: int = 0
    """number of face features a frame, D, that are read in the place of pictures; 0 where pictures are read"""
    widths: Widths = field(default_factory=Widths)
    """widths of a pruned network; default: those of the whole one"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(isinstance(self.widths, Widths), f"model.widths must be widths by name, not {self.widths!r}")
        reads = uses_face(self.modality) and self.face_input == "features"
        require(
            self.n_face_features >= 1 if reads else self.n_face_features == 0,
            f"model.n_face_features must be at least 1 for a network that reads face features, and 0 for others, not "
            f"{self.n_face_features}",
        )
        for name in ("n_channels", "n_samples", "n_frames", "n_outputs"):
            require(getattr(self, name) >= 1, f"model.{name} must be at least 1, not {getattr(self, name)}")


@dataclass(frozen=True)
class TrainConfig:
    """How a network is trained."""

    epochs: int = 50
    """maximum number of epochs (implementation choice)"""
    batch_size: int | None = None
    """windows per training step; default: 256 (paper), or less for small data: the largest power of two that is not
    above n_train / 16, at least 16"""
    learning_rate: float = 1e-3
    """learning rate of Adam (paper)"""
    loss: Literal["mse", "ccc"] = "mse"
    """loss of task regression, on the rating scaled to -1..1: mean squared error, or 1 - the concordance correlation
    of a batch; tasks with classes have cross-entropy (paper)"""
    select: Literal["validation", "last", "test"] = "validation"
    """which epoch is kept: that with the lowest loss on the validation windows, or the last one; test, the lowest loss
    on the test windows, is only for recipes stamped leaky"""
    patience: int = 10
    """epochs without a lower validation loss before training stops (implementation choice)"""
    augment: bool = True
    """augment faces and signals in training, by the operations that the paper names"""
    corrupt: float = 0.0
    """fraction of the training windows in which one modality, face or signals, is corrupted by noise or by covering a
    part of it, at a random strength, so that the gate learns to weight modalities by their quality (implementation
    choice)"""
    face_weights: str | None = None
    """a local file of public ConvNeXt V2 weights of the same variant, with which GBV-Net's face encoder is initialised
    (.safetensors, or .pt and .pth with tensors only); default: random weights from the seed"""
    normalise: Literal["train", "subject"] = "train"
    """z-score each channel by the mean and SD of the training windows, or of all windows of each subject (transductive:
    uses test signals, but no labels; only for systems that scale signals so)"""
    precision: Literal["auto", "32", "bf16"] = "auto"
    """numerical precision; auto: bf16 on a GPU that supports it, otherwise 32 bit"""
    device: Literal["auto", "cpu", "gpu"] = "auto"
    """where to train; auto: on a GPU if there is one"""
    compile: Literal["auto"] | bool = False
    """compile the network with torch.compile, on an NVIDIA GPU as CUDA graphs and with gbvnet's own kernels. auto: on a
    GPU, where GBV-Net is trained on many pictures, and without it where it does not work; true: always"""
    devices: int = 1
    """number of GPUs (on a CPU: processes) that train one model together, each on a part of every batch; for gbvnet
    train only"""
    memory_gib: float = 8.0
    """windows are kept in memory (in the GPU's, if there is one) up to this size in GiB; larger data are read from the
    store batch by batch"""
    logger: Literal["csv", "tensorboard", "wandb", "mlflow"] | None = None
    """also log losses and accuracies of every epoch of a network for this software, in the training's folder; default:
    history.csv alone. wandb is offline unless WANDB_MODE is set, mlflow is a file in the run unless MLFLOW_TRACKING_URI
    is; all but csv need the extra of their name"""

    def __post_init__(self) -> None:
        require(self.epochs >= 1, f"train.epochs must be at least 1, not {self.epochs}")
        require(
            self.batch_size is None or self.batch_size >= 2,
            f"train.batch_size must be at least 2 (batch normalisation needs two), not {self.batch_size}",
        )
        require(
            self.compile in ("auto", True, False),
            f"train.compile must be auto, true or false, not {self.compile!r}",
        )
        require(self.learning_rate > 0, f"train.learning_rate must be above 0, not {self.learning_rate}")
        require(0 <= self.corrupt <= 1, f"train.corrupt must be in [0, 1], not {self.corrupt}")
        require(self.patience >= 1, f"train.patience must be at least 1, not {self.patience}")
        require(self.devices >= 1, f"train.devices must be at least 1, not {self.devices}")
        require(self.memory_gib >= 0, f"train.memory_gib must not be negative, and is {self.memory_gib}")


@dataclass(frozen=True)
class PruneConfig:
    """How a trained GBV-Net is pruned: which channels are removed, and how the others are trained further."""

    keep: float = 0.5
    """share of the channels of each layer that is kept, above 0; 1: all of them"""
    by: Literal["grn", "norm"] = "grn"
    """which channels are kept. grn: those with the largest response on training windows (GRN's N in the blocks of the
    ConvNeXt V2, the root mean square elsewhere) times the weights that read it; norm: those with the largest weights"""
    stages: bool = False
    """also remove channels of the stages of the ConvNeXt V2 themselves: smaller and faster, and more is lost"""
    epochs: int = 10
    """maximum number of epochs of the training after it, at a tenth of the learning rate; 0: none"""

    def __post_init__(self) -> None:
        keep = self.keep
        require(0 < keep <= 1, f"the share of channels to keep must be above 0 and at most 1, not {keep:g}")
        require(self.epochs >= 0, f"the epochs after pruning must not be negative, and are {self.epochs}")


@dataclass(frozen=True)
class SplitConfig:
    """How windows are split into training, validation and test sides."""

    protocol: Protocol = "trial"
    """what is never on both sides; window (the paper's) allows windows of one trial on both sides, and so leaks"""
    scope: Scope = "pooled"
    """pooled: all subjects together; per-subject: one cross-validation within each subject"""
    folds: int = 10
    """number of folds (paper: 10)"""
    stratify: bool = False
    """balance the classes over the folds; the labels are then used to split, which the run reports"""
    fixed: str | None = None
    """name of fixed folds, so that publications can use the same ones: deap-v1, mahnob-v1, amigos-long-v1, or a JSON
    file"""
    validation: float = 0.2
    """fraction of the training groups held out for validation, which chooses the epoch (implementation choice)"""
    seed: int = 0
    """seed of the splits, the initial weights, the order of windows and the augmentation"""

    def __post_init__(self) -> None:
        require(self.folds >= 2, f"folds must be at least 2, not {self.folds}")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")
        require(0 < self.validation < 1, f"validation must be between 0 and 1, not {self.validation}")
        require(
            self.scope == "pooled" or "subject" not in self.protocol,
            f"protocol {self.protocol} holds out subjects, and scope per-subject stays within one: choose one of them",
        )
        require(not (self.fixed and self.stratify), "fixed and stratify exclude each other")
        require(
            not (self.fixed and (self.protocol == "window" or self.scope == "per-subject")),
            "fixed folds are folds of trials, stimuli or subjects over all subjects, "
            f"not for protocol {self.protocol} with scope {self.scope}",
        )


@dataclass(frozen=True)
class CrossvalConfig(SplitConfig):
    """A cross-validation: the system, its data, the splits and the training."""

    system: str = "gbvnet"
    """name of the system (`gbvnet systems` lists them), or one of your own: file.py:Class, module:Class
    (docs/plugins.md); `--system NAME --help` lists its own options, too"""
    modality: Modality = "facebio"
    """modalities that the system sees: face, bio (all signals), eeg, peri (all but EEG), or face with one of them"""
    target: str = "both"
    """what is predicted: valence, arousal, or any other label of the store; both: valence and arousal, in two trainings
    per fold (paper), or one with --joint"""
    task: Task | None = None
    """binary: low or high; multiclass: several classes; regression: the rating as a number; default: what follows from
    the rule, else binary for ratings and multiclass for categories"""
    rule: str | None = None
    """how a rating becomes a class. binary: '>=5' (default on a scale from 1 to 9, elsewhere the middle of the scale;
    not given in the paper), '>5', median (above each subject's own median, which is then part of the definition of the
    target), 'outside 4-6' (leaves the middle out); multiclass: edges as '3,7', terciles (thirds of each subject's own
    trials), quadrant (with --target both: valence x arousal)"""
    joint: bool = False
    """train valence and arousal together, as two logits of one network"""
    lag_s: float | Literal["search"] = 0.0
    """of labels that change in time: seconds by which they come later than what they are about; a window's label is the
    mean over the window that much later. search: of 0 to 9.6 s the lag that fits best, found in each fold by its
    training side alone"""
    subjects: tuple[str, ...] | None = None
    """names of the subjects to use (s01,s05); default: all"""
    shuffle_labels: int | None = None
    """a control: permute the labels of trials within each subject with this seed, so that there is nothing to learn"""
    recipe: str | None = None
    """name of the recipe that this run is part of; set by gbvnet reproduce"""
    rows: Literal["complete", "any"] = "complete"
    """complete: score only windows with every modality that the store has, so that all systems are scored on the same
    windows; any: score windows with at least one of the modalities that the system uses"""
    prune: float = 1.0
    """of gbvnet: prune each fold's trained network to this share of its channels and train it further, by the fold's
    training side alone; 1: no pruning (docs/smaller_models.md)"""
    prune_by: Literal["grn", "norm"] = "grn"
    """which channels are kept: grn, those with the largest response on training windows; norm, the largest weights"""
    prune_stages: bool = False
    """also remove channels of the stages of the ConvNeXt V2 themselves"""
    prune_epochs: int = 10
    """maximum number of epochs of the training after pruning"""
    model: ModelConfig = field(default_factory=ModelConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    options: Any = None
    """options of the system: some of them by name, or its class Options; default: the system's own"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.subjects is None or self.subjects, "subjects names no subject: leave it out for all")
        require(
            self.model.face_input == "pixels" or self.train.face_weights is None,
            "train.face_weights are weights of an encoder of pictures, and model.face_input is features: leave one out",
        )
        require(not self.joint or self.target == "both", f"--joint trains both targets, and target is {self.target}")
        require(not self.joint or self.task in (None, "binary"), f"--joint is of task binary, not {self.task}")
        require(self.rule is None or self.rule.strip(), "rule is empty: leave it out for the default")
        require(
            self.lag_s == "search" or (isinstance(self.lag_s, int | float) and 0 <= self.lag_s <= 60),
            f"lag_s must be from 0 to 60 s, or search, not {self.lag_s}",
        )
        pruned = self.pruning.keep < 1
        require(not pruned or self.system == "gbvnet", f"prune is of gbvnet alone, and system is {self.system}")
        require(
            self.train.select != "test" or (self.recipe and self.protocol == "window"),
            "train.select test chooses the epoch by the windows that it is tested on; only recipes stamped leaky may, "
            "to reproduce code that does",
        )

    @property
    def pruning(self) -> PruneConfig:
        """How the trained networks are pruned; with `keep` 1 they are not."""
        return PruneConfig(self.prune, self.prune_by, self.prune_stages, self.prune_epochs)


@dataclass(frozen=True)
class AuditConfig(CrossvalConfig):
    """An audit for leakage: the settings of its cross-validations, which it runs under several protocols."""

    target: str = "valence"
    """what is predicted; an audit has one target"""
    protocols: tuple[Protocol, ...] = PROTOCOLS  # type: ignore[assignment]
    """the protocols to compare"""
    shuffles: int = 3
    """number of trainings on shuffled labels of trials, under the LEAKY protocol window"""
    baselines: bool = True
    """compare no baseline correction, the mean and the template, by the scores of a nearest neighbour, a ridge
    classifier and the signal branch"""
    identities: bool = True
    """measure how well subject and trial are identified from a window"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        one = self.target != "both" or (self.rule or "").startswith("quadrant")
        require(one, "an audit has one target: give --target valence or --target arousal")
        require(self.scope == "pooled", "an audit is of all subjects together: scope must be pooled")
        require(self.shuffle_labels is None, "an audit shuffles labels on its own: leave shuffle_labels out")
        require(self.lag_s != "search", f"an audit compares protocols on the same labels: {_NEEDS_LAG}")
        require(self.prune == 1, "an audit is of the whole network: leave prune out")
        require(not self.fixed, "an audit needs splits that fixed folds do not contain: leave fixed out")
        require(self.shuffles >= 1, f"shuffles must be at least 1, not {self.shuffles}")
        unknown = [name for name in self.protocols if name not in PROTOCOLS]
        require(not unknown, f"no protocol {', '.join(unknown)}; there are {', '.join(PROTOCOLS)}")
        without_leak = [name for name in self.protocols if name != "window"]
        require("window" in self.protocols and without_leak, "an audit needs protocol window and at least one other")

    def crossval(self, **changes: Any) -> CrossvalConfig:
        """Return the settings of one of its cross-validations."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | changes))


@dataclass(frozen=True)
class CompareConfig(CrossvalConfig):
    """A comparison: its systems, and the cross-validation of each, with the same windows, folds and seed."""

    systems: tuple[str, ...] = ("all",)
    """names of the systems (gbvnet,deepvanet,zhu); all: every installed system and gbvnet:shuffled, which is GBV-Net
    trained on permuted labels; systems of your own are file.py:Class or module:Class; a name may be followed by a
    modality (gbvnet:bio); default: the system's own; the help lists the options of systems that are named before it"""
    options: dict[str, Any] | None = None
    """options of systems, by the system's name: {yuvaraj-like: {feature_set: wavelet}}; default: the systems' own"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            isinstance(self.options or {}, dict), f"options: expected options by system, found {self.options!r:.60}"
        )
        require(self.systems, "systems names no system; give all, or names with commas between")
        require(
            self.shuffle_labels is None, "a comparison on shuffled labels compares nothing: name a system NAME:shuffled"
        )
        require(self.prune == 1, "prune is for `gbvnet crossval`: give its run and another to `gbvnet report`")
        require(not self.joint, "joint trains both targets at once, which only some systems can: leave it out")
        require(self.lag_s != "search", f"a comparison is of systems on the same labels: {_NEEDS_LAG}")

    def crossval(self, **changes: Any) -> CrossvalConfig:
        """Return the settings of one system's cross-validation."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | changes))


@dataclass(frozen=True)
class TuneConfig(CrossvalConfig):
    """A cross-validation whose settings are searched for in each fold, by the fold's training side alone."""

    trials: int = 50
    """number of candidates that each fold tries; of a space with fewer candidates, all are tried"""
    tuning_folds: int = 3
    """number of folds within the training side of each fold, over which the score of a candidate is averaged"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.trials >= 1, f"trials must be at least 1, not {self.trials}")
        require(self.prune == 1, "a search is for settings of the whole network: leave prune out")
        require(self.tuning_folds >= 2, f"tuning_folds must be at least 2, not {self.tuning_folds}")
        require(
            self.lag_s != "search",
            "the lag of a search would have to be searched for in every tuning fold again, to see no label of it: "
            + _NEEDS_LAG,
        )

    def crossval(self, **changes: Any) -> CrossvalConfig:
        """Return the settings of its cross-validation: those that the search does not choose."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | changes))


@dataclass(frozen=True)
class FinalConfig(CrossvalConfig):
    """The training of a model for prediction: on all windows but a validation set, which chooses the epoch."""

    exclude: tuple[str, ...] = ()
    """names of recordings that are left out of the training"""

    @override
    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.system == "gbvnet", f"a model for prediction is a GBV-Net, not {self.system}")
        require(
            self.protocol != "window",
            "protocol window would choose the epoch by windows of trials that it was trained on",
        )
        require(self.scope == "pooled", "a model for prediction is of all subjects together: leave scope pooled")
        require(self.prune == 1, "train the whole network, and then prune it with `gbvnet model prune`")
        require(self.shuffle_labels is None, "a model for prediction needs true labels: leave shuffle_labels out")
        require(self.lag_s != "search", f"a model for prediction has one lag: {_NEEDS_LAG}")

    def crossval(self) -> CrossvalConfig:
        """Return the settings of its training: both targets are two outputs of one network."""
        own = {f.name: getattr(self, f.name) for f in fields(CrossvalConfig)}
        return CrossvalConfig(**(own | {"joint": self.target == "both"}))


@dataclass(frozen=True)
class LiveSources:
    """The sources of frames and signals of a real-time prediction."""

    video: str | None = None
    """number of a camera (0), or a video file to replay; default: camera 0 if no source is given"""
    signals: Path | None = None
    """a signal file to replay; or several on the clock of the first: "eeg.edf + wrist.csv@-3.2" (time on the first
    file's clock = time in wrist.csv - 3.2 s)"""
    lsl: str | None = None
    """name of an LSL stream"""
    signals_rate_hz: float | None = None
    """sampling rate in Hz of a CSV or TSV file without a column time"""
    signals_unit: Literal["uV", "mV", "V"] = "uV"
    """unit of the electrical channels of a CSV or TSV file"""
    video_offset_s: float = 0.0
    """time of the video file's clock minus time of the signal file's clock, in seconds"""
    fast: bool = False
    """replay files as fast as possible instead of in real time"""
    baseline_start_s: float | None = None
    """start of the baseline period in seconds on the signals' clock; default: the first sample"""
    running_s: float | None = None
    """subtract the mean of this many seconds immediately before each window instead of a fixed baseline"""
    step_s: float | None = None
    """seconds from the start of one window to the start of the next; default: the window's length"""

    def __post_init__(self) -> None:
        require(self.signals is None or self.lsl is None, "--signals and --lsl: give one of them")
        require(
            " + " not in (self.lsl or ""),
            f"--lsl {self.lsl}: one stream only. Join the streams into one, or record them and use `gbvnet predict`",
        )
        for name in ("signals_rate_hz", "running_s", "step_s"):
            value = getattr(self, name)
            require(value is None or value > 0, f"{name} must be above 0, not {value}")
        require(not (self.fast and self.devices), "--fast is for files: a camera or an LSL stream runs in real time")

    @property
    def devices(self) -> bool:
        """Whether any source is a device, which runs in real time only."""
        return self.lsl is not None or (self.video or "").isdigit()


@dataclass(frozen=True)
class Times:
    """The part of a recording to predict, in seconds on the signals' clock, or on the video's without signals."""

    start_s: float = 0.0
    """start of the predicted part in seconds; not before the signals begin"""
    stop_s: float | None = None
    """end of the predicted part in seconds; default: the end of the shorter of video and signals"""
    baseline_start_s: float | None = None
    """start of the baseline period in seconds; default: immediately before start_s, or the first seconds of the
    recording if there is nothing before"""
    video_offset_s: float = 0.0
    """time of the video's clock minus time of the signals' clock, in seconds"""
    signals_rate_hz: float | None = None
    """sampling rate in Hz of a CSV or TSV file without a column time"""
    signals_unit: str = "uV"
    """unit of the electrical channels of a CSV or TSV file: uV, mV or V"""

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
    """The explanation of a finished run: number of windows and resolution."""

    windows: int = 512
    """maximum number of test windows of each fold, drawn at random"""
    grid: int = 8
    """number of patches across a face, and of patches down it; they are covered one at a time"""
    cover: Literal["mean", "black"] = "mean"
    """colour of a covered patch: the mean colour of the window's faces, or black, as Minaee et al. 2021 have it"""
    seed: int = 0
    """seed of the choice of windows, the permutation of channels and the noise"""
    measures: tuple[Literal["channels", "face", "noise", "gates"], ...] = ("channels", "face", "noise", "gates")
    """what is measured, as far as the system has it: channels left out, parts of the face covered, noise in a modality
    and one removed, and the gates of a network with controls in their place"""

    def __post_init__(self) -> None:
        require(self.measures, "measures names nothing to measure")
        require(self.windows >= 2, f"windows must be at least 2, not {self.windows}")
        require(1 <= self.grid <= 64, f"grid must be 1 to 64, not {self.grid}")
        require(self.seed >= 0, f"seed must not be negative, and is {self.seed}")


def to_dict(config: Any) -> dict:
    """Return the settings as plain data for JSON and YAML; tuples become lists.

    Those of pruning are left out where nothing is pruned, so that such settings are as versions wrote them that could
    not prune, and runs of before can be continued.
    """
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    whole = values.get("prune") == 1
    return {k: v for k, v in values.items() if k not in PRUNE_SETTINGS} if whole else values


# Settings of a preparation that stores of before do not have, with the value that those were made with.
ADDED_SETTINGS = {"store_faces": "pixels", "landmark_every": 1}


def stored_settings(config: PrepareConfig) -> dict:
    """Return the settings of a preparation as a store holds them, which its digest is taken of.

    A setting that stores of before do not have is left out as long as it has the value that those were made with.
    """
    return without_added(to_dict(config))


def without_added(prepare: dict) -> dict:
    """Return settings of a preparation without those that were added later, where they have their defaults."""
    return {name: value for name, value in prepare.items() if (name, value) not in ADDED_SETTINGS.items()}


def flatten(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings by dotted name, as "train.epochs". A section without settings stays as it is."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= flatten(value, f"{prefix}{name}.") if isinstance(value, dict) and value else {f"{prefix}{name}": value}
    return flat


def from_dict(cls: type[T], values: dict, where: str = "") -> T:
    """Return a settings dataclass rebuilt from `to_dict`'s data, of this version or an earlier one.

    where : what messages put before the name of a setting ("crossval.")
    Raises BadConfig for a name that is no setting, with the nearest one.
    """
    return _from_dict(cls, present_names(values), where)


def _from_dict(cls: type[T], values: dict, where: str) -> T:
    by_name = {f.name: f for f in fields(cls)}  # type: ignore[arg-type]
    arguments = {}
    for name, value in values.items():
        if name not in by_name:
            raise BadConfig(f"no setting {where}{name}; {did_you_mean(name, by_name, where)}")
        kind = by_name[name].type
        if isinstance(kind, type) and is_dataclass(kind) and isinstance(value, dict):
            value = _from_dict(kind, value, f"{where}{name}.")
        arguments[name] = tuple(value) if isinstance(value, list) else value
    return cls(**arguments)
