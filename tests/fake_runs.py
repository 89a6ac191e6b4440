"""Run folders as crossval writes them, with predictions drawn from a known skill instead of a network."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from gbvnet.evaluation import predictions


def table(
    *, subjects=6, trials=10, windows=5, folds=5, skill=1.0, seed=0, labels=0, one_class_fold=False, **columns
) -> pd.DataFrame:
    """Predictions of one target. `labels` seeds the ratings, so that tables of several systems share their rows.

    skill : how many standard deviations high and low are apart in a trial's logit
    """
    high = np.random.default_rng(labels).random((subjects, trials)) < 0.55
    rng = np.random.default_rng(seed)
    s, t, w = (a.ravel() for a in np.meshgrid(range(subjects), range(trials), range(windows), indexing="ij"))
    leaky = columns.get("protocol") == "window"
    fold = 1 + (rng.permutation(len(s)) if leaky else t) % folds
    y = high[s, t].astype("int8")
    if one_class_fold:
        y[(t % folds) == 0] = 1  # trials 0, folds, ...: under protocol trial these are fold 1
    logit = (
        skill * (2 * y - 1) / 2 + rng.normal(0, 1, (subjects, trials))[s, t] * (not leaky) + rng.normal(0, 0.7, len(s))
    )
    subject, trial = [f"s{k + 1:02d}" for k in s], [f"{k + 1:02d}" for k in t]
    has_gate = columns.get("modality", "facebio") == "facebio" and columns.get("system", "gbvnet") == "gbvnet"
    made = {
        "dataset": "deap", "system": "gbvnet", "modality": "facebio", "target": "valence", "protocol": "trial",
        "scope": "pooled", "seed": 0, "fold": fold, "subject": subject, "trial": trial, "stimulus": trial,
        "recording": [f"{a}_{b}" for a, b in zip(subject, trial, strict=True)],
        "window": w, "start_s": w.astype(float),
        "rating": np.where(y == 1, 7.0, 3.0), "y": y, "p": 1 / (1 + np.exp(-logit)), "prior": float(y.mean()),
        "gate_face": np.clip(rng.normal(0.55, 0.08, len(s)), 0, 1) if has_gate else np.nan,
        "gate_bio": np.clip(rng.normal(0.4, 0.1, len(s)), 0, 1) if has_gate else np.nan, "config": "0123abcd",
    }  # fmt: skip
    return pd.DataFrame(made | columns)


def _other_task(made: pd.DataFrame, labels: pd.Series, **columns) -> pd.DataFrame:
    """A table of `table` with other labels and predictions."""
    return made.drop(columns=["y", "p", "prior"]).assign(y=labels, **columns)


def class_table(k=3, *, skill=1.0, seed=0, labels=0, target="valence", **how) -> pd.DataFrame:
    """Predictions of k classes. skill : how far a trial's own class is above the others, in its log-probability."""
    made = table(skill=0, seed=seed, labels=labels, target=target, **how)
    trials = made[["subject", "trial"]].drop_duplicates()
    of_trial = trials.assign(y=np.random.default_rng(labels).integers(0, k, len(trials)))
    y = made.merge(of_trial, on=["subject", "trial"], suffixes=("_high", ""))["y"].to_numpy()
    logits = np.random.default_rng(seed).normal(0, 1, (len(y), k)) + skill * np.eye(k)[y]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    prior = np.bincount(y, minlength=k) / len(y)
    columns = {f"p_{j}": p[:, j] for j in range(k)} | {f"prior_{j}": prior[j] for j in range(k)}
    return _other_task(made, pd.Series(y, dtype="int16"), **columns)


def rating_table(*, skill=1.0, seed=0, labels=0, target="valence", scale=(1, 9), constant=(), **how) -> pd.DataFrame:
    """Predictions of ratings. skill : weight of the rating in its prediction. constant : subjects with one rating."""
    made = table(skill=0, seed=seed, labels=labels, target=target, **how)
    trials = made[["subject", "trial"]].drop_duplicates()
    middle, width = sum(scale) / 2, scale[1] - scale[0]
    drawn = np.random.default_rng(labels).uniform(0.1, 0.9, len(trials)) * width + scale[0]
    of_trial = trials.assign(y=np.where(trials["subject"].isin(constant), middle, drawn))
    y = made.merge(of_trial, on=["subject", "trial"], suffixes=("_high", ""))["y"].to_numpy()
    noise = np.random.default_rng(seed).normal(0, 0.15 * width, len(y))
    return _other_task(
        made.assign(rating=y), pd.Series(y), y_hat=middle + skill * (y - middle) + noise, prior=float(y.mean())
    )


def write_run(
    folder: Path, tables: list[pd.DataFrame], *, digest="d" * 64, rule=">=5", seed=0, data=None, **settings
) -> Path:
    """A finished run folder of these predictions (one table a target). data : more of environment.json's `data`."""
    folder.mkdir(parents=True)
    predictions.write(pd.concat(tables), folder / predictions.FILE)
    first = tables[0].iloc[0]
    config = {
        "system": first["system"], "modality": first["modality"], "protocol": first["protocol"],
        "scope": first["scope"],
        "folds": int(tables[0]["fold"].nunique()), "seed": seed, "task": "binary", "rule": rule, "rows": "complete",
        "model": {"variant": "micro", "fusion": "gate"}, "train": {"epochs": 20, "batch_size": None},
    }  # fmt: skip
    (folder / "config.yaml").write_text(yaml.safe_dump(config | settings))
    synthetic = "synthetic" in first["dataset"]
    environment = {
        "gbvnet": "0.1.0", "python": "3.11.7", "platform": "Linux-6.1 x86_64", "cpu": "a processor", "device": "cpu",
        "threads": 2, "packages": {"torch": "2.13.0", "numpy": "2.4.6"},
        "store": {"path": "store", "digest": digest, "dataset": "deap", "synthetic": synthetic,
                  "prepare": {"window_s": 1.0, "face_side": 64, "channels": None}},
        "data": {
            "subjects": int(tables[0]["subject"].nunique()), "recordings": int(tables[0]["recording"].nunique()),
            "windows": len(tables[0]) + 12, "windows_scored": len(tables[0]),
            "excluded": {"no good face frame": 12, "no signals": 0},
            "labels": f"a rating {rule} is high", "high": {}, "classes": {}, **(data or {}),
        },
        "n_parameters": 600_000, "seconds": 123.4, "findings": ["1 of 3 folds tests one class"],
    }  # fmt: skip
    (folder / "environment.json").write_text(json.dumps(environment))
    rng = np.random.default_rng(seed)
    for rows in tables:
        for fold in range(1, int(rows["fold"].nunique()) + 1):
            part = folder / f"fold{fold:02d}" / rows["target"].iloc[0]
            part.mkdir(parents=True)
            epoch = np.arange(1, 16 + fold)
            loss, noise = 0.3 + 0.4 * np.exp(-epoch / 6), rng.normal(0, 0.01, len(epoch))
            accuracy = np.nan if "y_hat" in rows else 1.0
            history = pd.DataFrame({
                "epoch": epoch, "train_loss": loss + noise, "train_accuracy": accuracy * (1 - loss / 1.4 + noise),
                "inner_loss": loss + 0.08 + 0.006 * epoch + 2 * noise,
                "inner_accuracy": accuracy * (0.9 - loss / 1.4 - noise),
                "seconds": 1.0,
            })  # fmt: skip
            history.to_csv(part / "history.csv", index=False)
    return folder


def study(root: Path, dataset="deap", *, subjects=6, targets=("valence", "arousal"), **how) -> list[Path]:
    """Six runs on the same rows: face, bio and facebio under trial and, leaky, under window."""
    folders = []
    for k, (protocol, modality) in enumerate((p, m) for p in ("window", "trial") for m in ("facebio", "face", "bio")):
        skill = {"facebio": 1.6, "face": 1.0, "bio": 0.3}[modality] + 3 * (protocol == "window")
        tables = [
            table(subjects=subjects, skill=skill, seed=10 * k + n, labels=n, dataset=dataset, protocol=protocol,
                  modality=modality, target=target, **how)
            for n, target in enumerate(targets)
        ]  # fmt: skip
        folders.append(write_run(root / f"{protocol}_{modality}", tables))
    return folders
