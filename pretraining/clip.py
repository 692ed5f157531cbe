"""`python -m pretraining.clip`: the embedded small CLIP, trained from nothing on generated image-caption pairs.

The loss is CLIP's symmetric InfoNCE (Radford et al. 2021, section 2.3), with two additions. A generated batch holds
many captions that are about things in several of its images: such pairs are left out of the softmax instead of being
pushed apart. And from some step on, the same loss is also taken between captions and dense embeddings, pooled over
positions by a softmax: a small network trained for minutes has no other cause to keep its positions apart, which
OpenAI's has learned from 400 million pairs. Both see pairs only; boxes are never seen.
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
import torch.nn.functional as F
from jsonargparse import auto_cli
from jsonargparse.typing import NonNegativeInt, PositiveInt
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset
from tqdm import tqdm

from grounding.clip.backbone import CLIP, normalise_pixels
from grounding.clip.dense import dense_embeddings, resnet_stages
from grounding.clip.text import encode_tokens, tokenize
from grounding.data.refshapes.vocabulary import ADJECTIVES, NOUNS
from grounding.errors import InputError
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.config_io import plain
from grounding.runtime.files import atomic_write
from grounding.training.step import warmup_cosine
from pretraining.captions import captioned_pictures, captions_true_of
from pretraining.catalogue import CLIP_ART_SHARE


@dataclass(frozen=True)
class PretrainConfig:
    """Training of the embedded CLIP.

    Attributes:
        output: safetensors file to write; the state to resume from lies beside it until the end.
        steps: optimiser steps.
        batch_size: image-caption pairs per step.
        learning_rate: peak of the cosine schedule.
        weight_decay: of AdamW, for matrices only.
        warmup_steps: linear warm-up.
        simple_until: step up to which simple pictures give way to the catalogue's mixture.
        dense_from: step from which the dense embeddings take part in the loss.
        seed: of the weights and the scenes.
        save_every: steps between two saved states.
    """

    output: Path = Path("grounding/weights/embedded_clip.safetensors")
    steps: PositiveInt = 2400
    batch_size: PositiveInt = 128
    learning_rate: float = 1.2e-3
    weight_decay: float = 0.05
    warmup_steps: NonNegativeInt = 100
    simple_until: NonNegativeInt = 1000
    dense_from: NonNegativeInt = 600
    seed: NonNegativeInt = 0
    save_every: PositiveInt = 100


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


def contrastive_loss(logits: Tensor, also_true: Tensor) -> Tensor:
    """Symmetric InfoNCE in which a pair that is true but not the drawn one is no negative.

    Args:
        logits: (N, N), image i against text j; text i was drawn for image i.
        also_true: (N, N) bool; entry [i, j] says that text j may be true of image i.

    Returns:
        () mean loss of both directions.
    """
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(also_true & ~own, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


class WordPrediction(nn.Module):
    """Which words of its caption an image's last feature map predicts: a start for the trunk, thrown away afterwards.

    The contrast alone tells this small trunk of colours soon and of shapes very late. Joulin et al. 2016, "Learning
    Visual Features from Large Weakly Supervised Data"; CLIP's authors set out from it (section 2.3).

    Args:
        channels: of the feature map.
    """

    ids: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        words = [word for group in (*NOUNS.values(), *ADJECTIVES.values()) for word in group]
        tokens = tokenize(words)
        ends = {0, int(tokens[0, 0]), int(tokens.max())}  # padding, start and end
        ids = sorted(set(tokens.flatten().tolist()) - ends)
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        self.linear = nn.Linear(channels, len(ids))

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """() cross-entropy between a caption's words, each as likely, and those that mean and positions predict.

        Args:
            features: (N, C, h, w).
            tokens: (N, 77) of the captions.
        """
        wanted = (tokens[:, :, None] == self.ids).any(dim=1).float()
        wanted = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1)
        of_mean = self.linear(features.mean(dim=(2, 3)))
        of_best = self.linear(features.flatten(2).mT).logsumexp(dim=1)
        return F.cross_entropy(of_mean, wanted) + F.cross_entropy(of_best, wanted)


def pretraining_loss(model: CLIP, words: WordPrediction, batch: PretrainingBatch, *, dense: bool) -> Tensor:
    """The loss of one batch: image against caption and its words and, where `dense`, best position against them."""
    pixels = normalise_pixels(batch.images).contiguous(memory_format=torch.channels_last)
    layer4 = resnet_stages(model.visual, pixels, output_stride=32)["layer4"]
    texts = F.normalize(encode_tokens(model, batch.tokens)[0], dim=-1)
    scale = model.logit_scale.exp()
    images = F.normalize(model.visual.attnpool(layer4), dim=-1)
    loss = contrastive_loss(scale * images @ texts.T, batch.mentioned) + words(layer4, batch.tokens)
    if dense:
        positions = dense_embeddings(model.visual.attnpool, layer4).flatten(2)  # (N, E, h * w)
        similarity = scale * torch.einsum("iep,je->ijp", positions, texts)
        pooled = similarity.logsumexp(dim=-1) - math.log(similarity.shape[-1])
        loss = loss + contrastive_loss(pooled, batch.mentioned)
    return loss


@dataclass(frozen=True)
class PretrainingBatch:
    """N pairs: images (N, 3, S, S) uint8, tokens (N, 77), and (N, N) bool, which images show what captions mention."""

    images: Tensor
    tokens: Tensor
    mentioned: Tensor


class CaptionedBatches(IterableDataset[PretrainingBatch]):
    """The batches from step `first` on.

    Each step has a stream of scenes of its own, so that a resumed run sees what an uninterrupted one would.
    """

    def __init__(self, config: PretrainConfig, image_size: int, first: int) -> None:
        self.config, self.image_size, self.first = config, image_size, first

    def __iter__(self) -> Iterator[PretrainingBatch]:
        for step in range(self.first, self.config.steps):
            # Simple pictures first: among patterns and clutter alone, shapes are not learnt in so few steps.
            clip_art = max(CLIP_ART_SHARE, 1 - step / max(self.config.simple_until, 1))
            stream = captioned_pictures(self.config.seed, self.image_size, stream=step, clip_art=clip_art)
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
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, config.steps)
    )

    config.output.parent.mkdir(parents=True, exist_ok=True)
    state_file = config.output.with_suffix(".state.pt")
    first = 0
    if state_file.is_file():
        state = _read_state(state_file, config)
        trained.load_state_dict(state["trained"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = state["step"]

    batches = CaptionedBatches(config, model.visual.input_resolution, first)
    # One worker draws scenes while the model trains.
    loader = DataLoader(batches, batch_size=None, num_workers=1, prefetch_factor=4)
    progress = tqdm(enumerate(loader, start=first + 1), total=config.steps, initial=first, desc="pretraining")
    for step, batch in progress:
        loss = pretraining_loss(model, words, batch, dense=step > config.dense_from)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(max=math.log(100))  # as in CLIP, section 2.5
        progress.set_postfix(loss=f"{loss.item():.3f}", scale=f"{model.logit_scale.exp().item():.1f}")
        if step % config.save_every == 0 or step == config.steps:
            state = {"trained": trained.state_dict(), "optimizer": optimizer.state_dict(),
                     "schedule": schedule.state_dict(), "step": step, "config": plain(config)}  # fmt: skip
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
        state = torch.load(path, weights_only=True)
    except Exception as error:  # torch raises whatever its readers met in a damaged file
        raise InputError(f"{path} cannot be read as a saved state: remove the file to start anew") from error
    if not isinstance(state, dict) or not state.keys() >= {"trained", "optimizer", "schedule", "step", "config"}:
        raise InputError(f"{path} holds no saved state of this training: remove the file to start anew")
    if state["config"] != plain(config):
        raise InputError(f"{path} belongs to a run with other settings: repeat them, or remove the file")
    return state


if __name__ == "__main__":
    with exit_on_input_error():
        pretrain(auto_cli(PretrainConfig, args=sys.argv[1:], as_positional=False, prog="python -m pretraining.clip"))
