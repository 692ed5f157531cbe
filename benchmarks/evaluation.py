"""Evaluating a split beside the image tower in it: `python -m benchmarks.evaluation`, on an idle machine.

Images of RefCOCOg's size with as many phrases as its test split has, RN50 on 448 pixels and as the judge of crops: one
method through all that `evaluate.py compare` does with an image, for the first time and with the annotated crops known,
as they are for every further method; one image is asked twice, as always. The goal: at most 1.5 times what the images
take in the image tower.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.measuring import Finding, flops_of, report, run, take_turns
from benchmarks.rehearsal import SPLITS, make
from benchmarks.rn50 import random_grounder, random_rn50, write_photo
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.clip_similarity import CLIPSimilarity
from grounding.evaluation.evaluate import method_of, predict_blocks

COMMAND = "python -m benchmarks.evaluation"
MOST = 1.5


def main(images: int = 16, rounds: int = 3) -> None:
    """Measure and report.

    Args:
        images: of the split.
        rounds: of each side.
    """
    clip = random_rn50()
    grounder = random_grounder(clip)
    method = method_of(grounder)
    squares = torch.zeros(images, grounder.encoder.model_size, grounder.encoder.model_size, 3, dtype=torch.uint8)
    with TemporaryDirectory() as folder:
        photos = [write_photo(Path(folder) / f"{seed}.jpg", seed=seed) for seed in range(images)]
        make(Path(folder) / "data", photos, images / SPLITS["test"][0])
        dataset = RefCOCOg(Path(folder) / "data", "test", group_by="image")

        def evaluate(judge: CLIPSimilarity) -> None:
            list(predict_blocks(method, dataset, [range(len(dataset))], similarity=judge))

        judge = CLIPSimilarity(clip, [])
        sides = {
            "tower": lambda: grounder.encoder.encode_squares(squares),
            "first": lambda: evaluate(CLIPSimilarity(clip, [])),
            "further": lambda: evaluate(judge),
        }
        evaluate(judge)
        flops = {name: flops_of(side) / 1e9 for name, side in sides.items()}
        seconds = take_turns(sides, rounds=rounds)
    report([Finding(f"evaluation.{name}_method", seconds[name] / seconds["tower"], MOST, False,
                    f"{len(dataset)} images with {len(dataset.expressions)} phrases: {seconds[name]:.1f} s and "
                    f"{flops[name]:.0f} GFLOP, image tower {seconds['tower']:.1f} s and {flops['tower']:.0f} GFLOP; "
                    f"medians of {rounds}") for name in ("first", "further")], command=COMMAND)  # fmt: skip


if __name__ == "__main__":
    run(main)
