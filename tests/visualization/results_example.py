"""A comparison made up by plain code: five methods and six bounds on phrases that were never asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from grounding.evaluation.metrics import reliability

METHODS = ("demo", "zero-shot", "gradcam", "yolo-clip", "reclip")
BOUNDS = ("whole-image", "centred-box", "random-proposal", "yolo-oracle", "annotated-clip", "box-mask")
CATEGORIES = ("circle", "square", "ring", "star")
AXES = {
    "phrase length": ("1-2 words", "3-4 words", "5-7 words", "8+ words"),
    "box area": ("small", "medium", "large"),
    "same-category distractors": ("0", "1", "2", "3+"),
    "location words": ("yes", "no"),
}


def example_results(*, n: int = 400, categories: tuple[str, ...] = CATEGORIES, seed: int = 0) -> dict[str, Any]:
    """A dict of the form of results.json, with every part, over `n` phrases."""
    rng = np.random.default_rng(seed)
    skills = np.linspace(0.75, 0.3, len(METHODS))
    methods = {name: _record(rng, skill, n, categories) for name, skill in zip(METHODS, skills, strict=True)}
    for name in METHODS[1:]:
        methods[name]["behind"] = {
            metric: {"difference": 0.1 + 0.1 * rng.random(), "interval": [0.05, 0.25], "p_value": rng.random() / 50}
            for metric in ("acc@0.5", "miou", "pointing")
        }
    methods["gradcam"]["behind"]["acc@0.5"]["p_value"] = 2 / 2001
    bounds = {name: _record(rng, skill, n, categories) for name, skill in zip(BOUNDS, rng.random(6), strict=True)}
    return {
        "data": "data/refshapes_100%",
        "split": "test",
        "split_by": "umd",
        "images": 1021,
        "weights": "CLIP embedded (width 16 & 128 pixels)",
        "proposals": "embedded YOLOX (width 0.25)",
        "iou": "of the best-scored box with the annotated box, in pixels of the original image",
        "methods": methods,
        "bounds": bounds,
    }


def _record(rng: np.random.Generator, skill: float, n: int, categories: tuple[str, ...]) -> dict[str, Any]:
    ious = np.where(rng.random(n) < skill, rng.beta(8, 2, n), rng.beta(1, 9, n))
    scores = np.clip(0.6 * ious + 0.4 * rng.random(n), 0, 0.999)
    phrases = np.random.default_rng(n)  # every method is asked the same ones
    owner = phrases.integers(len(categories), size=n)
    found = np.where(ious > 0.3, owner, rng.integers(len(categories) + 1, size=n))
    names = np.array([*categories, "background"])
    confusion = pd.crosstab(names[owner], names[found]).to_dict("index")
    thresholds = np.linspace(0, 1, 21)
    accuracies = [float((ious >= threshold).mean()) for threshold in thresholds]
    metrics = _metrics(rng, ious)
    breakdowns = {axis: _groups(groups, phrases.integers(len(groups), size=n), ious) for axis, groups in AXES.items()}
    breakdowns["category"] = _groups(categories, owner, ious)
    return {
        "n": n,
        "seconds": {"per_image": 0.01 + rng.random() / 5, "per_phrase": 10 ** rng.uniform(-3, 0)},
        "metrics": metrics,
        "intervals": {k: [metrics[k] - 0.02, metrics[k] + 0.021] for k in ("acc@0.5", "miou", "pointing")},
        "subsets": {
            tag: {"n": n // 4, "metrics": {"acc@0.5": float(rng.random())}} for tag in ("novel", "relation")
        },
        "breakdowns": breakdowns,
        "confusion": confusion,
        "reliability": reliability(scores, ious >= 0.5),
        "accuracy_over_iou": {"threshold": list(thresholds), "accuracy": accuracies},
    }  # fmt: skip


def _metrics(rng: np.random.Generator, ious: np.ndarray) -> dict[str, float]:
    metrics = {f"acc@{t:g}": float((ious >= t).mean()) for t in (0.25, 0.3, 0.5, 0.7, 0.75, 0.9)}
    others = ["acc@0.5:0.95", "giou", "pointing", "mass_inside", "recall@1", "recall@5", "recall@10", "ece",
              "no_proposal", "region_accuracy", "category_accuracy"]  # fmt: skip
    for sense in ("text", "crop", "annotated_text"):
        others += [f"{sense}_cosine", f"{sense}_euclidean"]
    return {**metrics, "miou": float(ious.mean()), **{name: float(rng.random()) for name in others}}


def _groups(names: tuple[str, ...], owner: np.ndarray, ious: np.ndarray) -> dict[str, Any]:
    inside = {name: ious[owner == index] for index, name in enumerate(names)}
    return {
        name: {"n": len(values), "metrics": {"acc@0.5": float((values >= 0.5).mean()), "miou": float(values.mean())}}
        for name, values in inside.items()
        if len(values)
    }
