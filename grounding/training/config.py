"""All settings of a training run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from grounding.data.augment import AugmentationConfig
from grounding.methods.config import ModelConfig
from grounding.training.criterion import LossConfig


@dataclass(frozen=True)
class TrainConfig:
    """Train on a data set: the decoder with its boxes, or adapters without any.

    Attributes:
        data: the data set, a folder or a table (docs/data.md).
        output: run folder to make.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to train on.
        validation_split: split that chooses the best epoch, by its boxes.
        validation_data: the data set with that split, where it is another one; of a table that has no such split and
            no boxes for it, without it, the last epoch is kept.
        subset: images to train on: a count, a fraction below 1, or null for all.
        validation_subset: images to validate on, likewise.
        model: the CLIP, its input size, what is trained on top (`decoder.kind`) and the extraction.
        start_from: run whose decoder the training starts from, of the same CLIP and decoder settings: a folder, or
            "refshapes"; null for new weights.
        losses: what the decoder is trained on.
        epochs: passes over the training images.
        images_per_batch: images of one optimiser step.
        phrases_per_image: at most so many phrases of an image are drawn in an epoch.
        composed_per_image: so many phrases per image, composed from boxes and categories, are drawn beside them
            (`data.relations`); none for adapters.
        sets_per_image: so many phrases per image that name several objects or none are drawn beside them.
        sets_split_by: who made the split of these phrases, "unc" for gRefCOCO's; null for phrases of other images,
            which fit nothing in this one.
        learning_rate: peak of the schedule, after a linear warm-up and before a cosine.
        weight_decay: of AdamW, for matrices and kernels.
        warmup_steps: steps of linear warm-up.
        clip_norm: gradients are scaled down to this norm.
        ema_decay: of the running mean of the weights that is validated and kept.
        augmentation: what happens to training images at random, where the phrases drawn for them permit it.
        patience: stop after so many epochs without a better validation Acc@0.5.
        mixed_precision: "no", "fp16" or "bf16".
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
        save_every: optimiser steps between two resumable states, besides the end of each epoch.
        last_states: how many of the last states stay: where the newest is damaged, the one before serves.
        most_skipped: steps in a row without a finite loss and gradient, each of which is skipped, that end the run.
        seed: of the weights, the order and the draws.
        resume: go on with the run in `output`; false refuses to overwrite it.
    """

    data: Path
    output: Path
    split_by: str = "umd"
    split: str = "train"
    validation_split: str = "val"
    subset: int | float | None = None
    validation_subset: int | float | None = None
    validation_data: Path | None = None
    model: ModelConfig = field(default_factory=ModelConfig)
    start_from: str | None = None
    losses: LossConfig = field(default_factory=LossConfig)
    epochs: PositiveInt = 10
    images_per_batch: PositiveInt = 16
    phrases_per_image: PositiveInt = 6
    composed_per_image: NonNegativeInt = 0
    sets_per_image: NonNegativeInt = 0
    sets_split_by: str | None = None
    learning_rate: PositiveFloat = 1e-3
    weight_decay: NonNegativeFloat = 0.02
    warmup_steps: NonNegativeInt = 100
    clip_norm: PositiveFloat = 1.0
    ema_decay: Annotated[float, Field(ge=0, le=1)] = 0.995
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    patience: PositiveInt = 3
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    device: Literal["auto", "cpu"] = "auto"
    workers: NonNegativeInt = 0
    save_every: PositiveInt = 500
    last_states: PositiveInt = 2
    most_skipped: PositiveInt = 10
    seed: NonNegativeInt = 0
    resume: bool = False
