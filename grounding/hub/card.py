"""The model card that goes with a run: every number on it is read from the run's files or a comparison's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData

from grounding.clip_backbone import CONTEXT_LENGTH
from grounding.hub.results import Measured

TEMPLATE = Path(__file__).with_name("card.md")
PROJECT = "clip-visual-grounding"
TASK = "zero-shot-object-detection"  # of the hub's tasks, the one that takes a phrase and gives boxes


@dataclass(frozen=True)
class Origin:
    """Where a run's answers come from.

    Attributes:
        weights: of the CLIP, its name and the start of its SHA-256.
        decoder_sha256: of the decoder's file, in hexadecimal.
        decoder_parameters: of the decoder, a count.
        extraction: the method that makes boxes.
        config: the run's config.yaml, without folders.
    """

    weights: str
    decoder_sha256: str
    decoder_parameters: int
    extraction: str
    config: Mapping[str, Any]


def model_card(repo: str, origin: Origin, results: Measured | None, *, licence: str) -> str:
    """The text of README.md.

    Args:
        repo: user/name.
        origin: where the run's answers come from.
        results: what was measured of it; None where nothing was.
        licence: of the weights, by the hub's name for it.
    """
    title = repo.partition("/")[2]
    config = origin.config
    data = config.get("data", "unknown")
    evaluated = [
        EvalResult(TASK, results.data, f"{results.data} ({results.split})", row.key, round(row.value, 4),
                   task_name="visual grounding", dataset_split=results.split, metric_name=row.name)
        for row in results.rows
    ] if results else None  # fmt: skip
    card_data = ModelCardData(language="en", license=licence, library_name=PROJECT, pipeline_tag=TASK,
                              tags=["visual-grounding", "referring-expression-comprehension", "clip"],
                              model_name=title, eval_results=evaluated)  # fmt: skip
    facts = {
        "CLIP, frozen": origin.weights,
        "decoder": f"{origin.decoder_parameters:,} parameters, sha256 {origin.decoder_sha256[:12]}...",
        "boxes from heatmaps by": f"`{origin.extraction}`",
        "trained on": f"{data}, split {config.get('split', 'unknown')} ({config.get('split_by', 'unknown')})",
        "supervision": config.get("supervision", "unknown"),
        "input sizes": ", ".join(map(str, config["model"].get("inference_sizes") or [config["model"]["model_size"]])),
        "licence of the weights": licence,
    }
    card = ModelCard.from_template(
        card_data, template_path=str(TEMPLATE), title=title, repo=repo, project=PROJECT, facts=facts, results=results,
        data=data, context_length=CONTEXT_LENGTH,
    )  # fmt: skip
    return str(card)
