"""A CLIP of RN50's architecture with random weights: what costs time is the shape of a network, not its numbers."""

from __future__ import annotations

import hashlib
from typing import Any

import torch

from grounding.clip_backbone import CONTEXT_LENGTH, LoadedCLIP
from grounding.clip_package import CLIP

# Of OpenAI's RN50, as `clip.model.build_model` reads them off its file.
RN50: dict[str, Any] = dict(
    embed_dim=1024, image_resolution=224, vision_layers=(3, 4, 6, 3), vision_width=64, vision_patch_size=None,
    context_length=CONTEXT_LENGTH, vocab_size=49408, transformer_width=512, transformer_heads=8, transformer_layers=12,
)  # fmt: skip


def random_rn50(seed: int = 0) -> LoadedCLIP:
    """RN50 with the `clip` package's own initial weights, frozen."""
    torch.manual_seed(seed)
    model = CLIP(**RN50).float().eval().requires_grad_(False)
    name = f"RN50 architecture, random weights of seed {seed}"
    return LoadedCLIP(model, name, name, hashlib.sha256(name.encode()).hexdigest())
