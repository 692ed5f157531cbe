"""Small CLIPs with random weights: the `clip` package's own classes, quick enough for every test."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable
from functools import cache, lru_cache, wraps
from pathlib import Path

import torch
from clip.model import CLIP, convert_weights
from torch import nn

from grounding.clip.backbone import LoadedCLIP

RESOLUTION = 64
EMBED_DIM = 32


def _copied(make: Callable[..., CLIP]) -> Callable[..., CLIP]:
    """The same, but made once: to draw the weights takes longer than to copy them."""
    made = lru_cache(maxsize=4)(make)
    return wraps(make)(lambda *arguments, **options: copy.deepcopy(made(*arguments, **options)))


@_copied
def tiny_clip(
    seed: int = 0,
    *,
    layers: tuple[int, int, int, int] | int = (1, 1, 1, 1),
    width: int = 8,
    resolution: int = RESOLUTION,
    embed_dim: int = EMBED_DIM,
    text_width: int = 64,
    text_layers: int = 2,
) -> CLIP:
    """A frozen CLIP in evaluation mode; `layers` as one number, with `width` 64, gives a ViT tower.

    Its weights are rounded to half precision as in OpenAI's files, so that saving and loading changes nothing.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CLIP(
            embed_dim=embed_dim,
            image_resolution=resolution,
            vision_layers=layers,
            vision_width=width,
            vision_patch_size=32,  # read by the ViT alone
            context_length=77,
            vocab_size=49408,
            transformer_width=text_width,
            transformer_heads=text_width // 64,  # the one that `build_model` infers
            transformer_layers=text_layers,
        )
        # CLIP's initialisation leaves residual branches at zero, and images and phrases almost alike.
        nn.init.normal_(model.token_embedding.weight)
        nn.init.normal_(model.positional_embedding, std=0.3)
        for module in model.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, std=0.2)
                nn.init.normal_(module.running_mean, std=0.2)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
    convert_weights(model)
    return model.float().eval().requires_grad_(False)


def random_rn50() -> CLIP:
    """CLIP RN50 in full size, with random weights."""
    return tiny_clip(layers=(3, 4, 6, 3), width=64, resolution=224, embed_dim=1024, text_width=512, text_layers=12)


def loaded_tiny_clip(seed: int = 0) -> LoadedCLIP:
    """What `load_clip` returns, around `tiny_clip(seed)`."""
    return LoadedCLIP(tiny_clip(seed), "tiny", f"CLIP tiny (random weights, seed {seed})", f"{seed:064x}")


def save_tiny_clip(path: Path, seed: int = 0) -> Path:
    """`tiny_clip(seed)` as a state dict saved by torch; returns `path`."""
    path.write_bytes(_saved(seed))
    return path


@cache
def _saved(seed: int) -> bytes:
    file = io.BytesIO()
    torch.save(tiny_clip(seed).state_dict(), file)
    return file.getvalue()


def save_openai_archive(model: CLIP, path: Path) -> Path:
    """A TorchScript archive as OpenAI publishes its models, of half precision where theirs are; returns `path`."""
    model = copy.deepcopy(model)  # the archive shares its weights' memory, and they are halved below
    image = torch.zeros(1, 3, model.visual.input_resolution, model.visual.input_resolution)
    tokens = torch.zeros(1, model.context_length, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of shapes it takes as constants
        script = torch.jit.trace(model, (image, tokens), check_trace=False)
    convert_weights(model)
    weights = model.state_dict()
    for name, parameter in script.named_parameters():
        parameter.data = weights[name].data
    script.save(str(path))
    return path
