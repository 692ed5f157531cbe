"""A tiny CLIP saved in each form that is read, what to give it, and the message that refuses a file."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from grounding.clip.backbone import load_clip
from grounding.runtime.errors import InputError
from tests.tiny_clip import RESOLUTION, save_openai_archive, save_tiny_clip, tiny_clip

PHRASES = ["a cat", "the man in the red coat, left of the tree", "Bicycle", "naïve café — 日本", "salt &amp; pepper"]


def images(count: int = 2) -> Tensor:
    return torch.randn(count, 3, RESOLUTION, RESOLUTION, generator=torch.Generator().manual_seed(0))


def save_archive(path: Path) -> Path:
    return save_openai_archive(tiny_clip(), path)


def save_safetensors(path: Path) -> Path:
    save_file({name: tensor.contiguous() for name, tensor in tiny_clip().state_dict().items()}, path)
    return path


def error(name: str | Path, *, trust_checkpoint: bool = True) -> str:
    """The message of the InputError that loading raises: one line that names what was asked for."""
    with pytest.raises(InputError) as info:
        load_clip(name, trust_checkpoint=trust_checkpoint)
    message = str(info.value)
    assert str(name) in message and "\n" not in message
    return message


SAVERS = {"archive.pt": save_archive, "state_dict.pt": save_tiny_clip, "tiny.safetensors": save_safetensors}
