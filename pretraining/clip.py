"""`python -m pretraining.clip`: the embedded small CLIP, trained from nothing on generated image-caption pairs.

Two stages, both of pairs only; boxes are never seen. First the image trunk learns to predict the words of a caption,
on small pictures and on simple ones before the others: contrast alone tells a trunk of this size of colours soon and of
shapes very late. Then all of CLIP learns by its symmetric InfoNCE (Radford et al. 2021, section 2.3), with two
additions. A generated batch holds many captions that are about things in several of its images: such pairs are left
out of the softmax instead of being pushed apart. And the same loss is also taken between captions and dense
embeddings, pooled over positions by a softmax: a small network trained for minutes has no other cause to keep its
positions apart, which OpenAI's has learned from 400 million pairs.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from jsonargparse import auto_cli
from jsonargparse.typing import NonNegativeInt, PositiveInt
from safetensors.torch import save_file
from torch import nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from grounding.clip.backbone import CLIP
from grounding.clip.text import tokenize
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain
from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write
from grounding.training.step import warmup_cosine
from pretraining.captions import captioned_pictures, captions_true_of
from pretraining.catalogue import SIMPLE_SHARE
from pretraining.losses import PretrainingBatch, WordPrediction, contrast_loss, word_loss


@dataclass(frozen=True)
class PretrainConfig:
    """Training of the embedded CLIP.

    Attributes:
        output: safetensors file to write; the state to resume from lies beside it until the end.
        word_steps: optimiser steps of the first stage.
        contrast_steps: optimiser steps of the second.
        batch_size: image-caption pairs per step.
        word_learning_rate, contrast_learning_rate: peak of each stage's cosine schedule.
        weight_decay: of AdamW, for matrices only.
        warmup_steps: linear warm-up of each stage.
        word_image_size: side in pixels of the first stage's pictures.
        simple_steps: steps of simple pictures only, at the start.
        mixed_from: step from which pictures are the catalogue's usual mixture.
        seed: of the weights and the scenes.
        save_every: steps between two saved states.
    """

    output: Path = Path("grounding/weights/embedded_clip.safetensors")
    word_steps: NonNegativeInt = 1200
    contrast_steps: PositiveInt = 1400
    batch_size: PositiveInt = 128
    word_learning_rate: float = 2e-3
    contrast_learning_rate: float = 8e-4
    weight_decay: float = 0.05
    warmup_steps: NonNegativeInt = 50
    word_image_size: PositiveInt = 64
    simple_steps: NonNegativeInt = 250
    mixed_from: NonNegativeInt = 800
    seed: NonNegativeInt = 0
    save_every: PositiveInt = 100


def all_steps(config: PretrainConfig) -> int:
    """Of both stages."""
    return config.word_steps + config.contrast_steps


def learning_rate(config: PretrainConfig, step: int) -> float:
    """Of a step, counted from 0 through both stages."""
    if step < config.word_steps:
        return config.word_learning_rate * warmup_cosine(step, config.warmup_steps, config.word_steps)
    step -= config.word_steps
    return config.contrast_learning_rate * warmup_cosine(step, config.warmup_steps, config.contrast_steps)


def simple_share(config: PretrainConfig, step: int) -> float:
    """Of a step's pictures: all of them at the start, then fewer and fewer, in the end the catalogue's usual."""
    along = (step - config.simple_steps) / max(config.mixed_from - config.simple_steps, 1)
    return 1 - (1 - SIMPLE_SHARE) * min(max(along, 0), 1)


def new_embedded_clip() -> CLIP:
    """An untrained CLIP of the RN50 architecture, narrower and smaller, at 96 pixels."""
    model = CLIP(
        embed_dim=128,
        image_resolution=96,
        vision_layers=(2, 2, 3, 2),
        vision_width=16,
        vision_patch_size=None,  # only vision transformers have one
        context_length=77,
        vocab_size=49408,
        transformer_width=96,
        transformer_heads=1,  # the package's `build_model` takes width // 64
        transformer_layers=4,
    )
    return model.float()


class CaptionedBatches(IterableDataset[PretrainingBatch]):
    """The batches from step `first` on.

    Each step has a stream of scenes of its own, so that a resumed run sees what an uninterrupted one would.
    """

    def __init__(self, config: PretrainConfig, image_size: int, first: int) -> None:
        self.config, self.image_size, self.first = config, image_size, first

    def __iter__(self) -> Iterator[PretrainingBatch]:
        for step in range(self.first, all_steps(self.config)):
            size = self.config.word_image_size if step < self.config.word_steps else self.image_size
            share = simple_share(self.config, step)
            stream = captioned_pictures(self.config.seed, size, stream=step, simple_share=share)
            views = list(islice(stream, self.config.batch_size))
            images = torch.stack([torch.from_numpy(view.image).permute(2, 0, 1) for view in views])
            tokens = tokenize([view.caption for view in views])
            yield PretrainingBatch(images, tokens, torch.from_numpy(captions_true_of(views)))


def pretrain(config: PretrainConfig) -> CLIP:
    """Train the embedded CLIP, resuming from a saved state where one is there; returns the trained model.

    Raises:
        InputError: the saved state is damaged, or belongs to a run with other settings.
    """
    torch.manual_seed(config.seed)
    model = new_embedded_clip()
    model.visual = model.visual.to(memory_format=torch.channels_last)
    words = WordPrediction(model.visual._inplanes)
    trained = nn.ModuleList([model, words])
    matrices = [p for p in trained.parameters() if p.ndim >= 2]
    others = [p for p in trained.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98))

    config.output.parent.mkdir(parents=True, exist_ok=True)
    state_file = config.output.with_suffix(".state.pt")
    first = 0
    if state_file.is_file():
        state = _read_state(state_file, config)
        trained.load_state_dict(state["trained"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]

    batches = CaptionedBatches(config, model.visual.input_resolution, first)
    # One worker draws scenes while the model trains.
    loader = DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4)
    progress = tqdm(enumerate(loader, start=first), total=all_steps(config), initial=first, desc="pretraining")
    for step, batch in progress:
        loss = (word_loss if step < config.word_steps else contrast_loss)(model, words, batch)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(config, step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))  # as in CLIP, section 2.5
        progress.set_postfix(loss=f"{loss.item():.3f}", scale=f"{model.logit_scale.exp().item():.1f}")
        done = step + 1
        if done % config.save_every == 0 or done == all_steps(config):
            state = {"trained": trained.state_dict(), "optimizer": optimizer.state_dict(), "step": done,
                     "config": plain(config)}  # fmt: skip
            with atomic_write(state_file) as unfinished:
                torch.save(state, unfinished)

    half = {name: value.half().contiguous() for name, value in model.state_dict().items() if value.is_floating_point()}
    with atomic_write(config.output) as unfinished:
        save_file(half, unfinished)
    state_file.unlink(missing_ok=True)
    return model.eval()


def _read_state(path: Path, config: PretrainConfig) -> dict[str, Any]:
    """What `pretrain` saved of a run with these settings."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        is_same = state["config"] == plain(config)
    except Exception as error:  # torch raises whatever its readers met in a damaged file
        raise InputError(f"{path} cannot be read as a saved state: remove the file to start anew") from error
    if not is_same:
        raise InputError(f"{path} belongs to a run with other settings: repeat them, or remove the file")
    return state


if __name__ == "__main__":
    with exit_on_input_error():
        pretrain(auto_cli(PretrainConfig, args=sys.argv[1:], as_positional=False, prog="python -m pretraining.clip"))
