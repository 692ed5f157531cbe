"""How CLIP should look at a proposal: `python -m benchmarks.views --output docs/results.md`, on a validation split.

Every way to combine the views of `crops.VIEWS` is tried on the same proposals, for YOLO + CLIP and for ReCLIP's rules,
with and without CLIP's opinion on the whole phrase multiplied in, as ReCLIP's authors do. Writes a Markdown table.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from itertools import chain, combinations
from pathlib import Path

import numpy as np
from jsonargparse import auto_cli
from tqdm import tqdm

from benchmarks.pages import between
from grounding.clip.backbone import load_clip
from grounding.clip.crops import VIEWS
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.metrics import ious_with
from grounding.methods.proposals import ProposalsConfig, load_proposer
from grounding.methods.reclip import combine
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.methods.yolo_clip import ProposalScorer, ScoringConfig, boxes_to_choose_from
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.files import write_text_atomic

BEGIN, END = "<!-- Written by python -m benchmarks.views -->", "<!-- End of benchmarks.views -->"


def main(
    data: Path = Path("data/refshapes"),
    split: str = "val",
    clip: str = "embedded",
    detector: str = "embedded",
    images: int | None = None,
    output: Path | None = None,
) -> None:
    """Measure every combination of views.

    Args:
        data: root folder of a data set in RefCOCOg's layout.
        split: split to choose on: not the test split.
        clip: which CLIP; see `load_clip`.
        detector: which detector; see `ProposalsConfig`.
        images: measure on so many images only.
        output: Markdown file with the two marks; the table is printed where it is not given.
    """
    loaded, proposer = load_clip(clip), load_proposer(ProposalsConfig(detector=detector))
    dataset = RefCOCOg(data, split, group_by="image", subset=images)
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
    facts = f"{loaded.weights}; {proposer.weights}; {data.name}, {split}, {len(dataset)} images, n = {count}"
    text = f"{facts}.\n\n" + "\n".join(lines) + "\n"
    if output is None:
        print(text)
    else:
        write_text_atomic(output, between(output, BEGIN, END, text))


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
