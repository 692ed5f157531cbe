"""RN50's architecture with random weights: what costs time is the shape of a network, not its numbers."""

from __future__ import annotations

import hashlib
from itertools import count as counting
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from grounding.clip.backbone import CLIP, LoadedCLIP
from grounding.clip.encoder import Encoder
from grounding.clip.precision import number_format
from grounding.clip.text import CONTEXT_LENGTH
from grounding.data.batches import TrainingBatch
from grounding.methods.dense import DenseGrounder
from grounding.model.decoder import DecoderConfig, decoder_for

# Of OpenAI's RN50, as `clip.model.build_model` reads them off its file.
RN50: dict[str, Any] = dict(
    embed_dim=1024, image_resolution=224, vision_layers=(3, 4, 6, 3), vision_width=64, vision_patch_size=None,
    context_length=CONTEXT_LENGTH, vocab_size=49408, transformer_width=512, transformer_heads=8, transformer_layers=12,
)  # fmt: skip


# What configs/refcocog.yaml asks for.
MODEL_SIZE, OUTPUT_STRIDE, DECODER = 448, 16, DecoderConfig(width=128)
NUMBER = counting()


def random_rn50(seed: int = 0, *, precision: torch.dtype = torch.float32, compiled: bool = False) -> LoadedCLIP:
    """RN50 with the `clip` package's own initial weights, frozen."""
    torch.manual_seed(seed)
    model = CLIP(**RN50).float().eval().requires_grad_(False)
    name = f"RN50 architecture, random weights of seed {seed}"
    return LoadedCLIP(model, name, name, hashlib.sha256(name.encode()).hexdigest(), precision, compiled)


def random_grounder(
    clip: LoadedCLIP, *, model_size: int = MODEL_SIZE, output_stride: int = OUTPUT_STRIDE
) -> DenseGrounder:
    """configs/refcocog.yaml's model with an untrained decoder."""
    encoder = Encoder(clip, model_size=model_size, output_stride=output_stride)
    return DenseGrounder(encoder, decoder_for(encoder, DECODER), name="ours")


def batch_of(model_size: int, heatmap_stride: int, images: int, phrases: int) -> TrainingBatch:
    """Black images with phrases and a box for each, spread over the images in turn."""
    cells = model_size // heatmap_stride
    return TrainingBatch(
        squares=torch.zeros(images, model_size, model_size, 3, dtype=torch.uint8),
        valid=torch.ones(images, cells, cells, dtype=torch.bool), image_ids=torch.arange(images),
        phrases=new_phrases(phrases), boxes_xyxy=torch.tensor([[0.0, 0.0, 200.0, 100.0]]).expand(phrases, -1),
        box_counts=torch.ones(phrases, dtype=torch.long), image_index=torch.arange(phrases) * images // phrases,
        region_ids=torch.arange(phrases),
    )  # fmt: skip


def number_formats() -> list[torch.dtype]:
    """float32, and bfloat16 where it has anything to show on this machine's CPU."""
    return list(dict.fromkeys((torch.float32, number_format("auto", "cpu"))))


def new_phrases(count: int) -> list[str]:
    """Phrases that no memory holds, of about the length of RefCOCOg's."""
    return [f"the man in a red shirt left of number {next(NUMBER)}" for _ in range(count)]


def write_photo(path: Path, *, size: tuple[int, int] = (640, 480), seed: int = 0) -> Path:
    """A JPEG file of COCO's usual size, smooth as photographs are; returns its path."""
    coarse = np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC).save(path, quality=90)
    return path
