"""Our dense image encoding beside the `clip` package's own trunk: `python -m benchmarks.encoding`, on an idle machine.

One image of 448 pixels, the same threads, both up to the last stage at stride 32, ours with the dense embeddings
besides. Goals: 1.25 times as fast in float32, 2.5 times in bfloat16 where the CPU multiplies it; and of the rate at
which the machine multiplies matrices, measured in the same run, 90 % in float32 and 80 % in bfloat16.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Finding, report, take_turns
from benchmarks.rn50 import MODEL_SIZE, number_formats, random_rn50
from grounding.clip.backbone import ModifiedResNet
from grounding.clip.dense import DenseCLIP

COMMAND = "python -m benchmarks.encoding"
STRIDE = 32
MATRIX = 3072  # rows and columns: large enough for the rate to have levelled off
FASTER = {torch.float32: 1.25, torch.bfloat16: 2.5}
OF_PEAK = {torch.float32: 0.9, torch.bfloat16: 0.8}


@torch.no_grad()
def main() -> None:
    """Measure and report."""
    formats = number_formats()
    theirs = random_rn50().model.visual
    pixels = torch.randn(1, 3, MODEL_SIZE, MODEL_SIZE)
    layered = pixels.contiguous(memory_format=torch.channels_last)
    sides: dict[str, Callable[[], object]] = {"clip": partial(clips_trunk, theirs, pixels)}
    for number_format in formats:
        name = str(number_format).removeprefix("torch.")
        for compiled in (False, True):
            clip = random_rn50(precision=number_format, compiled=compiled)
            dense = DenseCLIP(clip.image_tower, output_stride=STRIDE, compiled=compiled)
            sides[f"{name}, compiled" if compiled else name] = partial(dense, layered)
        matrix = torch.randn(MATRIX, MATRIX).to(number_format)
        sides[f"{name}, matrices"] = partial(torch.mm, matrix, matrix)
    seconds = take_turns(sides)
    dense = DenseCLIP(random_rn50().image_tower, output_stride=STRIDE)
    with FlopCounterMode(display=False) as counted:
        dense(layered)
    flops = counted.get_total_flops()

    findings = []
    for number_format in formats:
        name = str(number_format).removeprefix("torch.")
        peak = 2 * MATRIX**3 / seconds[f"{name}, matrices"]
        for side in (name, f"{name}, compiled"):
            detail = f"clip {1e3 * seconds['clip']:.0f} ms, ours {1e3 * seconds[side]:.0f} ms"
            key = side.replace(", ", "_")
            findings.append(
                Finding(f"encoding.{key}", seconds["clip"] / seconds[side], FASTER[number_format], True, detail)
            )
            detail = f"{flops / 1e9:.1f} GFLOP at {flops / seconds[side] / 1e9:.0f} GFLOP/s; matrices {peak / 1e9:.0f}"
            findings.append(
                Finding(f"encoding.{key}_of_peak", flops / seconds[side] / peak, OF_PEAK[number_format], True, detail)
            )
    report(findings, command=COMMAND)


def clips_trunk(visual: ModifiedResNet, pixels: Tensor) -> Tensor:
    """The `clip` package's image tower as it is, up to its attention pool."""
    x = visual.relu1(visual.bn1(visual.conv1(pixels)))
    x = visual.relu2(visual.bn2(visual.conv2(x)))
    x = visual.avgpool(visual.relu3(visual.bn3(visual.conv3(x))))
    return visual.layer4(visual.layer3(visual.layer2(visual.layer1(x))))


if __name__ == "__main__":
    main()
