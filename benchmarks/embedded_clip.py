"""Held-out quality of a CLIP on RefShapes: `python -m benchmarks.embedded_clip`.

Two questions, asked of frozen CLIP without any training on boxes. Which of the scene's objects is meant, when every
annotated box is cropped and encoded by itself? And does the hottest point of the dense similarity map lie in the
annotated box, at output stride 16 and 32? Chance is measured on the same examples. Writes a Markdown table.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.clip.backbone import load_clip
from grounding.clip.crops import encode_crops
from grounding.clip.encoder import Encoder
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.metrics import point_inside
from grounding.geometry import hottest_point
from grounding.methods.config import ModelConfig
from grounding.methods.dense import DenseGrounder

BEGIN, END = "<!-- Written by python -m benchmarks.embedded_clip -->", "<!-- End of benchmarks.embedded_clip -->"


def main(data: Path = Path("data/refshapes"), clip: str = "embedded", output: Path = Path("docs/results.md")) -> None:
    """Measure a frozen CLIP on annotated crops and on dense pointing, on the test split.

    Args:
        data: root folder of RefShapes.
        clip: which CLIP; see `load_clip`.
        output: Markdown file with the two marks.
    """
    loaded, model_size = load_clip(clip), ModelConfig.model_size
    dataset = RefCOCOg(data, "test", group_by="image")
    encoders = {stride: Encoder(loaded, model_size=model_size, output_stride=stride) for stride in (16, 32)}
    dense = {s: DenseGrounder(e, None, name=f"stride {s}") for s, e in encoders.items()}

    hits: dict[tuple[str, str], list[float]] = defaultdict(list)
    for index in tqdm(range(len(dataset)), desc="images"):
        example = dataset[index]
        ids = [region.ann_id for region in example.regions]
        boxes = np.array([region.box_xyxy for region in example.regions])
        regions = encode_crops([(example.image, boxes)], loaded.image_tower)[0]
        phrases = encoders[16].encode_phrases(example.phrases).embeddings
        chosen = (phrases @ regions.T).argmax(dim=1).tolist()
        pointed = {s: grounder.ground(example.image, example.phrases) for s, grounder in dense.items()}
        area = example.image.shape[0] * example.image.shape[1]
        for number, expression in enumerate(example.expressions):
            x1, y1, x2, y2 = expression.box_xyxy
            for tag in ("all", *expression.tags):
                hits[tag, "crop chosen"].append(ids[chosen[number]] == expression.ann_id)
                hits[tag, "chance of a crop"].append(1 / len(ids))
                for s in (16, 32):
                    inside = point_inside(hottest_point(pointed[s][number].heatmap), np.array(expression.box_xyxy))
                    hits[tag, f"pointing, stride {s}"].append(inside)
                hits[tag, "chance of pointing"].append((x2 - x1) * (y2 - y1) / area)
    facts = f"{loaded.weights}; RefShapes test, {len(dataset)} images; dense input {model_size} pixels"
    text = f"{facts}.\n\n{_table(hits)}"
    write_between(output, BEGIN, END, text)


def _table(hits: dict[tuple[str, str], list[float]]) -> str:
    tags = sorted({tag for tag, _ in hits}, key=lambda tag: (tag != "all", tag))
    names = list(dict.fromkeys(name for _, name in hits))
    lines = ["| phrases | n | " + " | ".join(names) + " |", "| --- " * (len(names) + 2) + "|"]
    for tag in tags:
        cells = " | ".join(f"{np.mean(hits[tag, name]):.3f}" for name in names)
        lines.append(f"| {tag} | {len(hits[tag, names[0]])} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    run(main)
