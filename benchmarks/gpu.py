"""A GPU's images a second: `python -m benchmarks.gpu`; where there is no GPU it says so and measures nothing.

configs/refcocog.yaml's model at 448 pixels in bfloat16, on RN50's architecture: dense encoding, plain and compiled, and
a training step with four phrases an image; each beside the rate at which the card multiplies matrices, measured in the
same run. No goal: cards differ.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks.measuring import Finding, flops_of, report, take_turns
from benchmarks.rn50 import DECODER, MODEL_SIZE, OUTPUT_STRIDE, batch_of, random_rn50
from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch
from grounding.model.decoder import decoder_for
from grounding.training.criterion import LossConfig, TrainingCriterion

COMMAND = "python -m benchmarks.gpu"
PHRASES = 4


def main(device: str = "cuda", images: int = 64, matrix: int = 8192) -> None:
    """Measure and report.

    Args:
        device: where.
        images: that go through the model together.
        matrix: rows and columns.
    """
    if device == "cuda" and not torch.cuda.is_available():
        print("gpu: there is no GPU here, nothing is measured")
        return
    sides, flops = _sides(device, images, matrix)
    seconds = take_turns(sides)
    peak = flops["matrices"] / seconds["matrices"]
    findings = []
    for side in (name for name in sides if name != "matrices"):
        rate = flops[side] / seconds[side]
        detail = (
            f"{images / seconds[side]:.0f} images a second, {images} together, bfloat16; {rate / 1e12:.1f} of "
            f"{peak / 1e12:.1f} TFLOP/s"
        )
        findings.append(Finding(f"gpu.{side}_of_peak", rate / peak, None, True, detail))
    report(findings, command=COMMAND)


def _sides(device: str, images: int, matrix: int) -> tuple[dict[str, Callable[[], object]], dict[str, float]]:
    a = torch.randn(matrix, matrix, device=device, dtype=torch.bfloat16)
    squares = torch.randint(0, 256, (images, MODEL_SIZE, MODEL_SIZE, 3), dtype=torch.uint8)
    criterion, batch = _criterion(device), batch_of(MODEL_SIZE, OUTPUT_STRIDE // 4, images, images * PHRASES)
    sides: dict[str, Callable[[], object]] = {"matrices": lambda: _finished(torch.mm(a, a))}
    for compiled in (False, True):
        loaded = random_rn50(precision=torch.bfloat16, compiled=compiled)
        loaded.model.to(device)
        encoder = Encoder(loaded, model_size=MODEL_SIZE, output_stride=OUTPUT_STRIDE)
        name = "encoding_compiled" if compiled else "encoding"
        sides[name] = partial(_encode, encoder, squares)
    sides["training"] = partial(_step, criterion, batch, device)
    flops: dict[str, float] = {name: flops_of(sides[name]) for name in ("matrices", "encoding", "training")}
    return sides, flops | {"encoding_compiled": flops["encoding"]}


def _criterion(device: str) -> TrainingCriterion:
    loaded = random_rn50()
    loaded.model.to(device)
    encoder = Encoder(loaded, model_size=MODEL_SIZE, output_stride=OUTPUT_STRIDE)
    return TrainingCriterion(encoder, decoder_for(encoder, DECODER), LossConfig()).to(device)


def _encode(encoder: Encoder, squares: Tensor) -> None:
    _finished(encoder.encode_squares(squares).embeddings)


def _step(criterion: TrainingCriterion, batch: TrainingBatch, device: str) -> None:
    with torch.autocast(device, torch.bfloat16):
        loss = torch.stack(list(criterion(batch).values())).sum()
    loss.backward()
    criterion.zero_grad(set_to_none=True)
    _finished(loss)


def _finished(x: Tensor) -> None:
    """Waits for the device, by asking it for a number."""
    x.flatten()[0].item()


if __name__ == "__main__":
    main()
