"""The model card: README.md of a model folder, which states what the model is, its data, its scores and its limits."""

from ...config import ModelConfig, to_dict
from ...provenance import model_stamps
from ..model import GBVNet
from .describe import pruned_lines
from .folder import CARD_FACTS, plain

_LIMITS = [
    "",
    "## Limits",
    "",
    "- Meant for research on emotion recognition, by users who know the corpus it was trained on.",
    "- It was trained on ratings of videos by participants in a laboratory. It does not measure what anyone feels.",
    "- Accuracy on unseen subjects is what the `subject` protocol measures; other protocols say less.",
    "- Do not use it to judge, hire, monitor or diagnose anyone.",
    "",
    'Load it with `gbvnet.load_model("FOLDER")`. Method: Yu et al. 2025, doi:10.3390/s25206397.',
    "",
]


def model_card(model: GBVNet, about: dict) -> str:
    """Return the text of the card. about : see `checkpoint.save_model`."""
    config = model.config
    lines = [
        "---",
        "library_name: gbvnet",
        "license: other",  # that of the data, which is not known here
        "tags: [emotion-recognition, eeg, physiological-signals, facial-expression]",
        "---",
        f"# GBV-Net, {config.modality}, {config.variant}",
        "",
    ]
    for stamp in model_stamps(about):
        lines += [f"> **{stamp}**", ""]
    parameters = sum(p.numel() for p in model.parameters())
    lines += ["| | |", "|---|---|", f"| Parameters | {parameters:,} |"]
    default = to_dict(ModelConfig(variant=config.variant))
    changed = [f"{name} {getattr(config, name)}" for name, value in default.items() if getattr(config, name) != value]
    if changed:
        lines.append(f"| Other than the default network | {', '.join(changed)} |")
    lines += [f"| {name} | {plain(about[key])} |" for key, name in CARD_FACTS.items() if key in about]
    lines += [f"| {name.strip().capitalize()} | {value} |" for name, value in pruned_lines(config, about)]
    return "\n".join(
        [
            *lines,
            *_score_lines(about),
            *_comparison_lines(about),
            "",
            "## Input",
            "",
            *_input_lines(model, about),
            *_LIMITS,
        ]
    )


def _comparison_lines(about: dict) -> list[str]:
    """The whole and the pruned model side by side, as they were measured when it was pruned."""
    compared = (about.get("pruned") or {}).get("compared")
    if not compared:
        return []
    rows = [
        f"| {row['model']} | {plain('none' if row['score'] is None else row['score'])} | {row['size_mb']:.2f} | "
        f"{row['latency_ms']:.2f} | {row['windows_per_s']:.0f} | {plain(row['memory_mb'])} |"
        for row in compared["rows"]
    ]
    return [
        "",
        "## Beside the whole model",
        "",
        f"| | {compared['measure']} | MB | ms a window | windows/s | memory, MB |",
        "|---|---|---|---|---|---|",
        *rows,
        "",
        f"{compared['measure'].capitalize()}: {compared['on']}. In torch, on the CPU that it was pruned on, "
        f"{compared['threads']} threads.",
    ]


def _score_lines(about: dict) -> list[str]:
    if "scores" not in about:
        return []
    if not about["scores"]:
        none = "None are known: no cross-validation with these settings was given to `gbvnet train`."
        return ["", "## Scores", "", none]
    return [
        "",
        "## Scores",
        "",
        "| | |",
        "|---|---|",
        *(f"| {name} | {plain(value)} |" for name, value in about["scores"].items()),
        "",
        "Scores of cross-validations with the same settings on the same store; this model itself was not tested.",
    ]


def _input_lines(model: GBVNet, about: dict) -> list[str]:
    config, lines = model.config, []
    if model.reads_features:
        lines.append(f"- face features: {config.n_frames} frames per window, {config.n_face_features} features a frame")
    elif model.sees_face:
        lines.append(f"- faces: {config.n_frames} frames per window, aligned, RGB, at least 32 px")
    if model.sees_signals:
        lines.append(f"- signals: {config.n_channels} channels x {config.n_samples} samples per window, in this order:")
        channels = about.get("channels") or [[str(i + 1), ""] for i in range(config.n_channels)]
        lines += ["", "| channel | kind | mean | SD |", "|---|---|---|---|"]
        rows = zip(channels, model.signal_mean.tolist(), model.signal_sd.tolist(), strict=True)
        lines += [f"| {name} | {kind} | {mean:.4g} | {sd:.4g} |" for (name, kind), mean, sd in rows]
    prepare = about.get("prepare") or {}
    lines += ["", *(f"- {name}: {plain(value)}" for name, value in prepare.items())] if prepare else []
    return lines
