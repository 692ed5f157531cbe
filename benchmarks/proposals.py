"""Recall of a detector's proposals: `python -m benchmarks.proposals --output docs/results.md`.

How many of the annotated objects have a proposal that overlaps them enough, among an image's best 1, 5, 10 and all?
What no box proposes, CLIP cannot choose. Writes a Markdown table.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks.pages import between
from grounding.data.refcocog import RefCOCOg
from grounding.geometry import box_iou
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

IOU_THRESHOLDS = (0.5, 0.75)
BEST = (1, 5, 10)

BEGIN, END = "<!-- Written by python -m benchmarks.proposals -->", "<!-- End of benchmarks.proposals -->"


def main(
    data: Path = Path("data/refshapes"),
    split: str = "test",
    detector: str = ProposalsConfig.detector,
    confidence: float = ProposalsConfig.confidence,
    iou_threshold: float = ProposalsConfig.iou_threshold,
    max_proposals: int = ProposalsConfig.max_proposals,
    images: int | None = None,
    output: Path | None = None,
) -> None:
    """Measure which annotated objects a detector proposes.

    Args:
        data: root folder of RefShapes, RefCOCOg or another data set in its layout.
        split: split to measure on.
        detector: which detector; see `ProposalsConfig`.
        confidence: boxes that score lower are dropped.
        iou_threshold: of non-maximum suppression.
        max_proposals: boxes per image at most.
        images: measure on so many images only.
        output: Markdown file with the two marks; the table is printed where it is not given.
    """
    proposer = load_proposer(ProposalsConfig(confidence, iou_threshold, max_proposals, detector))
    dataset = RefCOCOg(data, split, group_by="image", subset=images)
    overlaps: dict[tuple[str, int | None], list[float]] = defaultdict(list)
    counts, seconds = [], 0.0
    for index in tqdm(range(len(dataset)), desc="images"):
        example = dataset[index]
        started = time.perf_counter()
        proposals = proposer.propose(example.image)
        seconds += time.perf_counter() - started
        counts.append(len(proposals.boxes_xyxy))
        objects = {region.ann_id: region.box_xyxy for region in example.regions}
        groups = {
            "all": set(objects),
            "referred": {expression.ann_id for expression in example.expressions},
            "novel": {expression.ann_id for expression in example.expressions if "novel" in expression.tags},
        }
        iou = box_iou(np.array(list(objects.values())), proposals.boxes_xyxy)
        for best in (*BEST, None):
            for ann_id, value in zip(objects, iou[:, :best].max(axis=1, initial=0), strict=True):
                for group in (group for group, members in groups.items() if ann_id in members):
                    overlaps[group, best].append(value)
    facts = (
        f"{proposer.weights}; {data.name} {split}, {len(dataset)} images; confidence {confidence}, non-maximum "
        f"suppression at IoU {iou_threshold}, at most {max_proposals} boxes.\n\nPer image {np.mean(counts):.1f} "
        f"proposals and {1000 * seconds / len(dataset):.1f} ms on the CPU, decoding of the file not counted"
    )
    text = f"{facts}.\n\n{_table(overlaps)}"
    if output is None:
        print(text)
    else:
        write_text_atomic(output, between(output, BEGIN, END, text))


def _table(overlaps: dict[tuple[str, int | None], list[float]]) -> str:
    lines = ["| objects | n | IoU | best 1 | best 5 | best 10 | all |", "| --- " * 7 + "|"]
    for name in ("all", "referred", "novel"):
        if not overlaps[name, None]:
            continue
        for threshold in IOU_THRESHOLDS:
            recalls = (np.mean(np.array(overlaps[name, best]) >= threshold) for best in (*BEST, None))
            cells = " | ".join(f"{recall:.3f}" for recall in recalls)
            lines.append(f"| {name} | {len(overlaps[name, None])} | {threshold} | {cells} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
