"""What a system promises, in words: the contract of `gbvnet.systems.BaseSystem`, and how to keep it."""

from .results import WORKS, Promise

PROMISES: dict[str, Promise] = {
    "interface": Promise(
        "a system is a class derived from gbvnet.systems.BaseSystem that implements fit, predict_proba, save, load and "
        "about; `modalities`, `tasks` and `refused` are tuples and names that gbvnet knows; every option has a default",
        "see the docstring of gbvnet.systems.BaseSystem",
    ),
    WORKS: Promise(
        "a system works on every modality and every task that its class declares, and raises errors of gbvnet.errors "
        "for what it cannot do",
        "correct the error, declare in `modalities` and `tasks` only what the system can do, raise BadConfig with the "
        "reason, or give windows from which it can learn (windows=SyntheticWindows(...))",
    ),
    "fit returns the system": Promise("fit returns self", "end fit with `return self`"),
    "fit reads its own rows only": Promise(
        "fit reads no window but those of `rows` and of `validation`: all others may be test windows",
        "compute everything that is fitted (scaling, feature selection, PCA) from store.read(rows)",
    ),
    "fit learns from its own rows only": Promise(
        "what fit learns does not depend on signals, faces or labels of other rows: those of test windows would leak",
        "take labels from `y`, never from store.windows, and everything else from store.read(rows)",
    ),
    "inputs stay as they are": Promise(
        "fit and predict_proba do not change what they are given: rows, y, validation, and the tables of the store",
        "work on copies (`y = y.copy()`, `store.windows.assign(...)`)",
    ),
    "global random states are not set": Promise(
        "fit and predict_proba do not set the global random states of Python, NumPy and PyTorch to a fixed value: "
        "whatever is random afterwards would repeat the same numbers",
        "use generators of its own (np.random.default_rng(seed)), or torch.manual_seed within torch.random.fork_rng()",
    ),
    "global random states have no effect": Promise(
        "predictions depend on `seed` alone, not on the global random states of Python, NumPy and PyTorch",
        "give `seed` to everything random (random_state=seed, torch.manual_seed(seed) within torch.random.fork_rng())",
    ),
    "the same seed gives the same": Promise(
        "two systems that are trained with the same rows, labels and seed predict exactly the same",
        "give `seed` to everything random, and do not iterate over sets",
    ),
    "training again forgets": Promise(
        "fit begins anew: a second fit of the same object gives what the first one gave",
        "set everything that is learnt in fit, none of it in __init__ only",
    ),
    "a folder for work changes nothing": Promise(
        "predictions do not depend on whether a folder `work` is given, in which a stopped training can continue",
        "use self.work for the state of an interrupted training only",
    ),
    "output": Promise(
        "predict_proba returns a NumPy array of finite float64: binary (n,) probabilities of the positive class; "
        "multiclass (n, K) probabilities that sum to 1; regression (n,) ratings on the scale of the target",
        "convert with np.asarray(p, np.float64), take the column of the positive class, clip ratings to target.scale",
    ),
    "predict agrees with predict_proba": Promise(
        "predict returns a SystemOutput whose `predicted` is what predict_proba returns, and whose gates are None or "
        "(n,) numbers from 0 to 1 (NaN where a window has none)",
        "implement one by means of the other",
    ),
    "windows are predicted one by one": Promise(
        "the prediction of a window does not depend on which other windows are predicted with it, or in which order",
        "compute statistics in fit and keep them; networks predict in evaluation mode (network.eval())",
    ),
    "predictions know no labels": Promise(
        "predict_proba does not depend on the labels in store.windows: in use there are none",
        "predict from store.read(rows) alone",
    ),
    "validation is optional": Promise(
        "fit works without validation rows",
        "train on all rows, or hold out a part of them by group, if validation is None",
    ),
    "several targets": Promise(
        "task binary with labels (n, K) gives probabilities (n, K), or BadConfig where a system learns one at a time",
        "raise BadConfig for y.ndim > 1, or learn the columns one after the other",
    ),
    "a class that does not occur": Promise(
        "task multiclass gives probabilities of all K classes of the target, also if training rows lack some of them",
        "make a column for each of self.target.classes; y holds their numbers",
    ),
    "missing modalities": Promise(
        "windows that lack a modality are refused with BadConfig, or predicted without use of the zeros in its place; "
        "so is a store that lacks it altogether",
        "look at has_face and has_signals of store.windows; call gbvnet.systems.learners.classical.require_modalities",
    ),
    "saved and loaded": Promise(
        "a system that load makes from a saved folder predicts exactly what the saved one predicts",
        "save everything that predictions depend on, in full precision",
    ),
    "no pickle": Promise(
        "a model folder holds no pickle: loading one would run any code that it contains",
        "save arrays with safetensors, settings as JSON",
    ),
    "damage is noticed": Promise(
        "load raises BadModel for a folder that is empty or whose file is damaged",
        "put the reading into try/except and raise BadModel(file, expected, found)",
    ),
    "untrained systems say so": Promise(
        "predict_proba before fit or load raises BadConfig",
        'raise BadConfig("this system is not trained yet: call fit or load first")',
    ),
    "unknown options are refused": Promise(
        "an option that the system does not have raises BadConfig when the system is made",
        "call super().__init__(config, work, label), which reads the options",
    ),
    "about": Promise(
        "`about` is a dict of plain JSON values: n_parameters, chosen_epoch, device; {} is allowed",
        "convert NumPy numbers with int() and float()",
    ),
    "learns": Promise(
        "the system learns an easy effect: the rating shows in the amplitude of some channels, in the redness of the "
        "face and in two expression coefficients",
        "give settings with more epochs or a larger learning rate (config), other windows (windows), or learns=False "
        "for a system that looks for something else",
    ),
}  # fmt: skip
