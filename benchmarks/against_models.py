"""Ours beside what people would take instead, on one photograph: `python -m benchmarks.against_models`.

CLIPSeg (Lüddecke and Ecker 2022), OWLv2 base (Minderer et al. 2023) and Grounding DINO tiny (Liu et al. 2023), as
`transformers` builds them, in float32 with random weights: what costs time is a network's shape. One phrase; ours from
the image file to boxes, theirs the network alone, on pixels and tokens that are there already. Needs what nothing else
here does: pip install transformers
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any

import torch

from benchmarks.measuring import Finding, flops_of, report, run, take_turns
from benchmarks.rn50 import new_phrases, random_grounder, random_rn50, write_photo
from grounding.runtime.errors import InputError

COMMAND = "python -m benchmarks.against_models"
TOKENS = 12  # of the phrase
GOALS = {"CLIPSeg": 2.5, "OWLv2 base": 15.0, "Grounding DINO tiny": 25.0}
PHOTO = (800, 1066)  # height and width of a photograph of 640 x 480 as Grounding DINO sees it


def main(rounds: int = 10) -> None:
    """Measure and report.

    Args:
        rounds: of all sides.

    Raises:
        InputError: transformers is not installed.
    """
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise InputError("transformers is not installed: pip install transformers, for this benchmark alone") from error
    ours = random_grounder(random_rn50())
    with TemporaryDirectory() as folder, torch.no_grad():
        photo = write_photo(Path(folder) / "photo.jpg")
        sides: dict[str, Callable[[], object]] = {"ours": lambda: ours.ground(photo, new_phrases(1))}
        sides |= others(transformers)
        flops = {name: flops_of(side) / 1e9 for name, side in sides.items()}
        seconds = take_turns(sides, rounds=rounds)
    findings = []
    for name, goal in GOALS.items():
        detail = (f"{1e3 * seconds[name]:.0f} ms and {flops[name]:.0f} GFLOP, ours {1e3 * seconds['ours']:.0f} ms and "
                  f"{flops['ours']:.0f} GFLOP, of which the ratio is {flops[name] / flops['ours']:.1f}; "
                  f"medians of {rounds}")  # fmt: skip
        key = name.replace(" ", "_")
        findings.append(Finding(f"against_models.{key}", seconds[name] / seconds["ours"], goal, True, detail))
    report(findings, command=COMMAND)


def others(transformers: ModuleType) -> dict[str, Callable[[], object]]:
    """By name, the forward pass of each model on one image and one phrase."""
    torch.manual_seed(0)
    clipseg = transformers.CLIPSegConfig(vision_config={"patch_size": 16}, use_complex_transposed_convolution=True)
    owl = transformers.Owlv2Config(vision_config={"image_size": 960})  # as the published base model has it
    dino = transformers.GroundingDinoConfig()  # the defaults are those of tiny
    ids = torch.randint(1000, 2000, (1, TOKENS))
    mask = torch.ones_like(ids)

    def side(model: Any, pixels: tuple[int, int], **asked: Any) -> Callable[[], object]:
        return partial(model.float().eval(), pixel_values=torch.randn(1, 3, *pixels), input_ids=ids, **asked)

    return {
        "CLIPSeg": side(transformers.CLIPSegForImageSegmentation(clipseg), (352, 352), interpolate_pos_encoding=True),
        "OWLv2 base": side(transformers.Owlv2ForObjectDetection(owl), (960, 960), attention_mask=mask),
        "Grounding DINO tiny": side(transformers.GroundingDinoForObjectDetection(dino), PHOTO, attention_mask=mask),
    }


if __name__ == "__main__":
    run(main)
