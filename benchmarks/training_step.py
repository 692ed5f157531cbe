"""One step of training beside CLIP's image tower in it: `python -m benchmarks.training_step`, on an idle machine.

configs/refcocog.yaml's model and losses without low-rank updates, which would train the tower itself, and without the
distance that holds them; RN50 at 448 pixels, 16 images with 59 phrases that are encoded already, float32. The goal:
decoder, losses, backward pass and optimiser take at most a quarter of the tower's time.
"""

from __future__ import annotations

import torch
from accelerate import Accelerator

from benchmarks.measuring import Finding, report, run, take_turns
from benchmarks.rn50 import batch_of, random_rn50
from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch
from grounding.model.decoder import decoder_for
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.criterion import TrainingCriterion
from grounding.training.step import TrainingStep

COMMAND = "python -m benchmarks.training_step"
IMAGES, PHRASES = 16, 59  # RefCOCOg has 3.7 phrases an image
SETTINGS = ("--model.decoder.lora_rank", "0", "--losses.distance_weight", "0", "--mixed_precision", "no")
WORDS = ["--config", "configs/refcocog.yaml", *SETTINGS]
MOST = 0.25


def main(rounds: int = 10) -> None:
    """Measure and report.

    Args:
        rounds: of both sides.
    """
    config = parse(TrainConfig, "train", WORDS)
    clip, model = random_rn50(), config.model
    encoder, encoded = (
        Encoder(clip, model_size=model.model_size, output_stride=model.output_stride) for _ in ("tower", "rest")
    )
    criterion = TrainingCriterion(encoded, decoder_for(encoded, model.decoder), config.losses)
    batch = batch_of(config.model.model_size, config.model.heatmap_stride, IMAGES, PHRASES)
    features = encoder.encode_squares(batch.squares)
    encoded.encode_squares = lambda *_: features  # type: ignore[method-assign]
    step = TrainingStep(criterion, config, Accelerator(cpu=True), total_steps=1000)
    seconds = take_turns({"tower": lambda: tower(encoder, batch), "rest": lambda: step(batch)}, rounds=rounds)
    detail = (f"{IMAGES} images with {PHRASES} phrases: image tower {seconds['tower']:.2f} s, decoder, losses, "
              f"backward pass and optimiser {seconds['rest']:.2f} s; medians of {rounds}")  # fmt: skip
    report([Finding("training_step.besides_tower", seconds["rest"] / seconds["tower"], MOST, False, detail)],
           command=COMMAND)  # fmt: skip


@torch.no_grad()
def tower(encoder: Encoder, batch: TrainingBatch) -> None:
    """The images through the frozen tower."""
    encoder.encode_squares(batch.squares)


if __name__ == "__main__":
    run(main)
