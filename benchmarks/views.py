"""How CLIP should look at a proposal: `python -m benchmarks.views --output docs/results.md`, on a validation split.

Every way to combine the views of `crops.VIEWS` is tried on the same proposals, for YOLO + CLIP and for ReCLIP's rules,
with and without CLIP's opinion on the whole phrase multiplied in, as ReCLIP's authors do. Writes a Markdown table.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from tqdm import tqdm

from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.clip.backbone import load_clip
from grounding.clip.crops import VIEWS
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.metrics import ious_with
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.reclip import combine
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.methods.yolo_clip import ProposalScorer, ScoringConfig, boxes_to_choose_from

BEGIN, END = "<!-- Written by python -m benchmarks.views -->", "<!-- End of benchmarks.views -->"


def main(data: Path = Path("data/refshapes"), output: Path = Path("docs/results.md")) -> None:
    """Measure every combination of views on the val split.

    Args:
        data: root folder of RefShapes.
        output: Markdown file with the two marks.
    """
    loaded, proposer = load_clip(), load_proposer(ProposalsConfig())
    dataset = RefCOCOg(data, "val", group_by="image")
    choices = list(chain.from_iterable(combinations(VIEWS, count) for count in range(1, len(VIEWS) + 1)))
    scorers = {views: ProposalScorer(loaded, ScoringConfig(views)) for views in choices}
    right: dict[tuple[tuple[str, ...], str], list[bool]] = defaultdict(list)
    for index in tqdm(range(len(dataset)), desc="images"):
        example = dataset[index]
        boxes, _ = boxes_to_choose_from(proposer, example.image)
        parsed = [parse_spatial_phrase(phrase) for phrase in example.phrases]
        nouns = list(dict.fromkeys(noun for phrase in parsed for noun in noun_phrases(phrase)))
        for views, scorer in scorers.items():
            [scores] = scorer.score(scorer.encode([example.image], [boxes]), [[*example.phrases, *nouns]])
            by_noun = dict(zip(nouns, scores[len(parsed) :], strict=True))
            for phrase, whole, annotated in zip(parsed, scores, example.boxes_xyxy, strict=False):
                by_rules = combine(phrase, by_noun, boxes)
                answers = {"yolo-clip": whole, "reclip": by_rules, "reclip x phrase": by_rules * whole}
                for method, probabilities in answers.items():
                    best = boxes[probabilities.argmax()]
                    right[views, method].append(bool(ious_with(best, annotated)[0] >= 0.5))
    methods = list(dict.fromkeys(method for _, method in right))
    lines = [f"| views | {' | '.join(methods)} |", "| --- " * (len(methods) + 1) + "|"]
    for views in choices:
        cells = " | ".join(f"{np.mean(right[views, method]):.3f}" for method in methods)
        lines.append(f"| {' + '.join(views)} | {cells} |")
    count = len(right[choices[0], methods[0]])
    facts = f"{loaded.weights}; {proposer.weights}; {data.name}, val, {len(dataset)} images, n = {count}"
    text = f"{facts}.\n\n" + "\n".join(lines) + "\n"
    write_between(output, BEGIN, END, text)


if __name__ == "__main__":
    run(main)
