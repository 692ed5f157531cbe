"""Recall of a detector's proposals: `python -m benchmarks.proposals`.

How many of the annotated objects have a proposal that overlaps them enough, among an image's best 1, 5, 10 and all?
What no box proposes, CLIP cannot choose. Writes a Markdown table.
"""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.data.refcocog import RefCOCOg
from grounding.geometry import box_iou
from grounding.methods.proposals import ProposalsConfig, load_proposer

IOU_THRESHOLDS = (0.5, 0.75)
BEST = (1, 5, 10)

BEGIN, END = "<!-- Written by python -m benchmarks.proposals -->", "<!-- End of benchmarks.proposals -->"


def main(
    data: Path = Path("data/refshapes"), detector: str = ProposalsConfig.detector,
    output: Path = Path("docs/results.md"),
) -> None:  # fmt: skip
    """Measure which annotated objects of the test split a detector proposes.

    Args:
        data: root folder of RefShapes, RefCOCOg or another data set in its layout.
        detector: which detector; see `ProposalsConfig`.
        output: Markdown file with the two marks.
    """
    config = ProposalsConfig(detector=detector)
    proposer = load_proposer(config)
    dataset = RefCOCOg(data, "test", group_by="image")
    overlaps: dict[tuple[str, int | None], list[float]] = defaultdict(list)
    counts, seconds = [], 0.0
    for index in tqdm(range(len(dataset)), desc="images"):
        example = dataset[index]
        started = time.perf_counter()
        proposals = proposer.propose(example.image)
        seconds += time.perf_counter() - started
        counts.append(len(proposals))
        objects = {region.ann_id: region.box_xyxy for region in example.regions}
        groups = {
            "all": set(objects),
            "referred": {expression.ann_id for expression in example.expressions},
            "novel": {expression.ann_id for expression in example.expressions if "novel" in expression.tags},
        }
        iou = box_iou(np.array(list(objects.values())), proposals)
        for best in (*BEST, None):
            for ann_id, value in zip(objects, iou[:, :best].max(axis=1, initial=0), strict=True):
                for group in (group for group, members in groups.items() if ann_id in members):
                    overlaps[group, best].append(value)
    facts = (
        f"{proposer.weights}; {data.name} test, {len(dataset)} images; confidence {config.confidence}, non-maximum "
        f"suppression at IoU {config.iou_threshold}, at most {config.max_proposals} boxes.\n\nPer image "
        f"{np.mean(counts):.1f} proposals and {1000 * seconds / len(dataset):.1f} ms on the CPU, decoding of the file "
        "not counted"
    )
    text = f"{facts}.\n\n{_table(overlaps)}"
    write_between(output, BEGIN, END, text)


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
    run(main)
