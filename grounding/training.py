"""The training loop: a decoder learns on top of a frozen CLIP, and a killed run can go on where it was."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from jsonargparse.typing import NonNegativeInt, PositiveInt
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader
from tqdm import tqdm

from grounding.config import ModelConfig
from grounding.data.batches import TrainingBatch, TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.data.transforms import AugmentationConfig
from grounding.decoder import HeatmapDecoder
from grounding.encoder import Encoder
from grounding.evaluation import evaluate
from grounding.grounder import DenseGrounder, decoder_for
from grounding.loading import make_encoder
from grounding.losses import box_masks, mask_loss, pool_regions, region_phrase_contrast
from grounding.run_folder import Progress, RunFolder, refuse_another_run


@dataclass(frozen=True)
class TrainConfig:
    """Train the decoder on a data set in RefCOCOg's layout.

    Attributes:
        data: root folder of the data set.
        output: run folder to make.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split to train on.
        validation_split: split that chooses the best epoch.
        subset: images to train on: a count, a fraction below 1, or null for all.
        validation_subset: images to validate on, likewise.
        model: the CLIP, its input size, the decoder and the extraction.
        epochs: passes over the training images.
        images_per_batch: images of one optimiser step.
        phrases_per_image: at most so many phrases of an image are drawn in an epoch.
        composed_per_image: so many phrases per image, composed from boxes and categories, are drawn beside them
            (`data.composed`).
        learning_rate: peak of the schedule, after a linear warm-up and before a cosine.
        weight_decay: of AdamW, for matrices and kernels.
        warmup_steps: steps of linear warm-up.
        clip_norm: gradients are scaled down to this norm.
        ema_decay: of the running mean of the weights that is validated and kept.
        contrast_weight: of the region-phrase contrastive loss beside the box-mask loss.
        augmentation: what happens to training images at random, where the phrases drawn for them permit it.
        patience: stop after so many epochs without a better validation Acc@0.5.
        mixed_precision: "no", "fp16" or "bf16".
        device: "auto" (a GPU if there is one) or "cpu".
        workers: processes that read images; 0 reads in this one.
        save_every: optimiser steps between two resumable states, besides the end of each epoch.
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
    model: ModelConfig = field(default_factory=ModelConfig)
    epochs: PositiveInt = 10
    images_per_batch: PositiveInt = 16
    phrases_per_image: PositiveInt = 6
    composed_per_image: NonNegativeInt = 0
    learning_rate: float = 1e-3
    weight_decay: float = 0.02
    warmup_steps: int = 100
    clip_norm: float = 1.0
    ema_decay: float = 0.995
    contrast_weight: float = 0.1
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    patience: PositiveInt = 3
    mixed_precision: Literal["no", "fp16", "bf16"] = "no"
    device: Literal["auto", "cpu"] = "auto"
    workers: int = 0
    save_every: PositiveInt = 500
    seed: int = 0
    resume: bool = False


def train(config: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None] | None = None) -> dict[str, float]:
    """Train, keep the best epoch's decoder in the run folder, and return its validation measures.

    Args:
        config: of the run.
        on_epoch: told the number of each finished epoch, from 1, and its validation measures; what it raises ends the
            run, which may be resumed.

    Raises:
        InputError: the data or the CLIP cannot be used, or the run folder holds another run.
    """
    refuse_another_run(config.output, config, resume=config.resume)
    set_seed(config.seed)
    dataset = RefCOCOg(config.data, config.split, split_by=config.split_by, group_by="image",
                       subset=config.subset, seed=config.seed)  # fmt: skip
    validation = RefCOCOg(config.data, config.validation_split, split_by=config.split_by, group_by="image",
                          subset=config.validation_subset, seed=config.seed)  # fmt: skip
    for needed in (dataset, validation):
        needed.check_images()
    accelerator = Accelerator(
        cpu=config.device == "cpu",
        mixed_precision=config.mixed_precision,
        dataloader_config=DataLoaderConfiguration(use_seedable_sampler=True, data_seed=config.seed),
    )
    encoder = make_encoder(config.model, accelerator.device)
    accelerator.print(f"training on {len(dataset)} images of {config.data}; frozen weights: {encoder.clip.weights}")
    items = TrainingItems(dataset, model_size=config.model.model_size, stride=config.model.output_stride // 4, seed=config.seed,
                          phrases_per_image=config.phrases_per_image, composed_per_image=config.composed_per_image,
                          augmentation=config.augmentation)  # fmt: skip
    asked = items.phrases | {expression.phrase for expression in validation.expressions}
    # Once, in a fixed order: a phrase's embedding then is the same to the last bit in a resumed run.
    encoder.encode_phrases.remember(sorted(asked))
    loader = DataLoader(items, batch_size=config.images_per_batch, shuffle=True, collate_fn=collate,
                        num_workers=config.workers)  # fmt: skip
    decoder = decoder_for(encoder, config.model.decoder)
    optimizer = torch.optim.AdamW(_parameter_groups(decoder, config.weight_decay), lr=config.learning_rate, fused=True)
    total_steps = config.epochs * len(loader)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, total_steps)
    )
    decoder, optimizer, loader, schedule = accelerator.prepare(decoder, optimizer, loader, schedule)
    average = AveragedModel(accelerator.unwrap_model(decoder), multi_avg_fn=running_mean(config.ema_decay))
    mean_decoder = cast(HeatmapDecoder, average.module)
    progress = Progress()
    accelerator.register_for_checkpointing(average, progress)
    grounder = DenseGrounder(encoder, mean_decoder, extraction=config.model.extraction, name="ours",
                             sizes=config.model.inference_sizes)  # fmt: skip

    with RunFolder(config.output, config, resume=config.resume) as run:
        if run.has_state:
            accelerator.load_state(str(run.state_folder))
        else:
            run.save_state(accelerator)
        while progress.epoch < config.epochs and progress.epochs_since_best < config.patience:
            items.epoch = progress.epoch
            loader.set_epoch(progress.epoch)
            batches = accelerator.skip_first_batches(loader, progress.step_in_epoch)
            bar = tqdm(batches, desc=f"epoch {progress.epoch + 1}/{config.epochs}", initial=progress.step_in_epoch,
                       total=len(loader), unit="step")  # fmt: skip
            for batch in bar:
                decoder.train()
                with accelerator.autocast():
                    losses = batch_losses(decoder, encoder, batch, config.contrast_weight)
                loss = torch.stack(list(losses.values())).sum()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(decoder.parameters(), config.clip_norm)
                optimizer.step()
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                average.update_parameters(accelerator.unwrap_model(decoder))
                progress.step_in_epoch += 1
                progress.step += 1
                bar.set_postfix(loss=f"{loss.item():.3f}")
                run.log_losses(progress, {name: value.item() for name, value in losses.items()})
                if progress.step % config.save_every == 0:
                    run.save_state(accelerator)
            metrics = evaluate(grounder, validation, workers=config.workers, description="validating")
            better = progress.finish_epoch(metrics)
            if better:
                run.save_decoder(mean_decoder, clip_sha256=encoder.clip.sha256)
            run.log_validation(progress, metrics)
            run.save_state(accelerator)
            shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in ("acc@0.5", "miou", "pointing"))
            accelerator.print(f"epoch {progress.epoch}: validation {shown}{' (best so far)' if better else ''}")
            if on_epoch is not None:
                on_epoch(progress.epoch, metrics)
    return progress.best_metrics


def batch_losses(
    decoder: HeatmapDecoder, encoder: Encoder, batch: TrainingBatch, contrast_weight: float
) -> dict[str, Tensor]:
    """The weighted losses of one batch, by name."""
    device = encoder.device
    boxes, image_index = batch.boxes_xyxy.to(device), batch.image_index.to(device)
    features = encoder.encode_squares(batch.squares)
    phrases = encoder.encode_phrases(batch.phrases)
    logits = decoder(features, phrases, image_index)
    masks = box_masks(boxes, logits.shape[-1], encoder.model_size // logits.shape[-1])
    losses = {"mask_loss": mask_loss(logits.float(), masks, batch.valid.to(device)[image_index])}
    if contrast_weight:
        regions = decoder.region_embeddings(features)
        stride = encoder.model_size // regions.shape[-1]
        with torch.autocast(device.type, enabled=False):  # a cosine over a temperature needs all of float32
            pooled = pool_regions(regions.float(), boxes, image_index, stride)
            contrast = region_phrase_contrast(pooled, phrases.embeddings, batch.region_ids.to(device))
        losses["contrast_loss"] = contrast_weight * contrast
    return losses


def running_mean(decay: float) -> Callable[..., None]:
    """The update of an exponential moving average that starts quickly: the decay grows from 1/10 to `decay`.

    Without this, the mean of a run of a few hundred steps would still be mostly its random start.
    """

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
        step_decay = min(decay, (1 + float(updates)) / (10 + float(updates)))
        torch._foreach_lerp_(averages, values, 1 - step_decay)

    return update


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor on the learning rate: linear up to 1, then a cosine down to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return 0.5 * (1 + math.cos(math.pi * done))


def _parameter_groups(decoder: HeatmapDecoder, weight_decay: float) -> Iterator[dict[str, object]]:
    """Kernels decay, biases and norms do not."""
    parameters = sorted(decoder.parameters(), key=lambda p: p.ndim > 1)
    for decays, group in itertools.groupby(parameters, key=lambda p: p.ndim > 1):
        yield {"params": list(group), "weight_decay": weight_decay if decays else 0.0}
