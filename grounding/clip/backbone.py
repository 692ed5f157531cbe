"""Which CLIP: by name, from OpenAI's file, or the small one that comes with this package.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision". The classes are the
`clip` package's own, which is imported here and nowhere else. Nothing runs that a stranger may have put into a file:
safetensors and state dicts are data, but OpenAI publishes CLIP as TorchScript archives, which are programs that run
while they are read. One that OpenAI did not publish is read only where the user vouches for it.
"""

from __future__ import annotations

import copy
import os
import shutil
import sys
import warnings
import zipfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grounding.clip.precision import usable_device
from grounding.runtime.download import fetch
from grounding.runtime.errors import InputError, writable
from grounding.runtime.files import sha256_of

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it announces that pkg_resources is deprecated
    import clip
    from clip.clip import _tokenizer as TOKENIZER  # noqa: F401
    from clip.model import CLIP, AttentionPool2d, Bottleneck, ModifiedResNet, Transformer, build_model  # noqa: F401

RESNETS = ("RN50", "RN101", "RN50x4", "RN50x16")
EMBEDDED = "embedded"
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded_clip.safetensors"
# Channel means and deviations of CLIP's preprocessing (the `clip` package, `clip.py`, `_transform`), for RGB in [0, 1].
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
# The `clip` package compares its downloads with them: the last folder of each address.
ADDRESSES: dict[str, str] = clip.clip._MODELS
PUBLISHED_SHA256 = frozenset(address.split("/")[-2] for address in ADDRESSES.values())
CACHE = Path("~/.cache/clip")  # where the `clip` package keeps its downloads, too


@dataclass(frozen=True)
class LoadedCLIP:
    """A frozen CLIP with a ResNet tower, float32 and in evaluation mode, and where its weights came from."""

    model: CLIP
    name: str  # what was asked for: a name, a path, or "embedded"
    weights: str  # a sentence for reports, with the file and the start of its SHA-256
    sha256: str  # of the file, in hexadecimal
    precision: torch.dtype = torch.float32  # that `image_tower` and `text_transformer` compute in
    compiled: bool = False  # whether dense features come from a tower that `torch.compile` has made for this machine

    @cached_property
    def image_tower(self) -> ModifiedResNet:
        """The image tower with its batch norms folded, in `precision`: what features and crops are computed with."""
        tower = fold_batch_norms(self.model.visual).to(self.precision)
        return tower.to(memory_format=torch.channels_last)

    @cached_property
    def text_transformer(self) -> Transformer:
        """The text tower's transformer with its matrices in `precision`; layer norms stay float32, as `clip` has it."""
        if self.precision == torch.float32:
            return self.model.transformer
        transformer = copy.deepcopy(self.model.transformer)
        for module in transformer.modules():
            if isinstance(module, nn.Linear | nn.MultiheadAttention):
                module.to(self.precision)
        return transformer


def load_clip(
    name: str | os.PathLike[str] = EMBEDDED,
    device: str | torch.device = "cpu",
    *,
    precision: torch.dtype = torch.float32,
    compiled: bool = False,
    trust_checkpoint: bool = False,
) -> LoadedCLIP:
    """A frozen CLIP with a ResNet image tower.

    `name` is "embedded"; one of `RESNETS`, which is downloaded once and checked; or the path of a file: OpenAI's
    TorchScript archive, a state dict saved by torch, or safetensors. With `trust_checkpoint` an archive may run its
    code, although OpenAI did not publish it.
    """
    device = usable_device(device)
    compiler = os.environ.get("CXX", "g++")  # where torch.compile looks
    if compiled and device.type == "cpu" and shutil.which(compiler) is None:
        raise InputError(
            f"compiled needs the C++ compiler {compiler!r}, which is not installed: install it or leave it"
        )
    name = os.fspath(name)
    if name == EMBEDDED:
        path = EMBEDDED_FILE
    elif name in RESNETS:
        path, trust_checkpoint = _published_file(name), True
    elif Path(name).is_file():
        path = Path(name)
    else:
        known = ", ".join((EMBEDDED, *RESNETS))
        raise InputError(f"no CLIP {name!r}: give one of {known}, or the path of a CLIP checkpoint file")
    model = _from_file(path, trust_checkpoint=trust_checkpoint).float().eval().requires_grad_(False).to(device)
    sha256 = sha256_of(path)
    weights = writable(f"CLIP {name} ({path.name}, sha256 {sha256[:12]}...)")
    return LoadedCLIP(model, name, weights, sha256, precision, compiled)


def _published_file(name: str) -> Path:
    """OpenAI's file of one of `RESNETS` in `CACHE`, downloaded where it is not there, and checked."""
    address, folder = ADDRESSES[name], CACHE.expanduser()
    path = folder / f"{name}.pt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        print(f"CLIP {name} is downloaded once, from {address} to {folder}", file=sys.stderr)
        try:
            fetch(address, folder, tries=1)
        except InputError as error:
            reason = type(error.__cause__).__name__
            raise InputError(
                f"CLIP {name} is not in {folder} and could not be downloaded from {address} ({reason}): connect once, "
                "or get this file elsewhere and give its path (--model.clip FILE)"
            ) from error
    if sha256_of(path) != address.split("/")[-2]:
        raise InputError(f"{path} is not the file that OpenAI published at {address}: delete it and run this again")
    return path


def fold_batch_norms(visual: ModifiedResNet) -> ModifiedResNet:
    """A copy of CLIP's ResNet with identities in the place of its batch norms; frozen, in evaluation mode.

    At inference a batch norm scales and shifts channels by fixed numbers, which a convolution's weights can do as well
    (Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2). Results differ by rounding only.
    """
    folded = copy.deepcopy(visual).requires_grad_(False).eval()
    for module in (folded, *folded.layer1, *folded.layer2, *folded.layer3, *folded.layer4):
        for number in (1, 2, 3):
            convolution, norm = getattr(module, f"conv{number}"), getattr(module, f"bn{number}")
            setattr(module, f"conv{number}", fuse_conv_bn_eval(convolution, norm))
            setattr(module, f"bn{number}", nn.Identity())
        shortcut = getattr(module, "downsample", None)
        if shortcut is not None:  # CLIP's names for its pooling, its convolution and its norm are "-1", "0" and "1"
            shortcut._modules["0"] = fuse_conv_bn_eval(shortcut._modules["0"], shortcut._modules["1"])
            shortcut._modules["1"] = nn.Identity()
    return folded


def normalise_pixels(images: Tensor) -> Tensor:
    """RGB uint8 (B, 3, H, W) as the float32 that CLIP's image tower expects."""
    mean, std = images.new_tensor([PIXEL_MEAN, PIXEL_STD], dtype=torch.float32).view(2, 3, 1, 1)
    return (images.float() / 255 - mean) / std


def _from_file(path: Path, *, trust_checkpoint: bool) -> CLIP:
    state_dict = _tensors_of(path, trust_checkpoint=trust_checkpoint)
    if not isinstance(state_dict, dict) or "text_projection" not in state_dict:
        raise InputError(f"{path} holds no CLIP checkpoint: give OpenAI's file, for example RN50.pt")
    if "visual.attnpool.c_proj.weight" not in state_dict:
        known = ", ".join(RESNETS)
        raise InputError(f"{path} holds a CLIP without a ResNet image tower: give one of {known}")
    try:
        model = build_model(dict(state_dict))
    except Exception as error:  # clip reads sizes off the tensors without checking them, and trips in many ways
        raise InputError(f"{path} is an incomplete CLIP checkpoint: fetch the file again") from error
    assert isinstance(model.visual, ModifiedResNet)
    return model


def _tensors_of(path: Path, *, trust_checkpoint: bool) -> dict[str, Tensor]:
    """What a safetensors file, a saved state dict or a TorchScript archive holds, which may be no CLIP's weights."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} cannot be read as safetensors: fetch or make the file again") from error
    archive = _is_torchscript(path)
    if archive and not trust_checkpoint and sha256_of(path) not in PUBLISHED_SHA256:
        raise InputError(
            f"{path} is a TorchScript archive, which runs code when it is read, and none that OpenAI published: "
            "give its state dict, as .safetensors for example, or set trust_checkpoint if you trust its source"
        )
    try:
        if archive:
            return torch.jit.load(path, map_location="cpu").state_dict()
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its readers met in a foreign file
        raise InputError(f"{path} is no CLIP checkpoint that torch can read: give OpenAI's file") from error


def _is_torchscript(path: Path) -> bool:
    """Whether a zip file has the member that tells TorchScript from a state dict, for which torch looks too.

    Where the two read a file's directory differently nothing is lost: `torch.load` refuses an archive.
    """
    try:
        with zipfile.ZipFile(path) as members:
            return any(name.rpartition("/")[2] == "constants.pkl" for name in members.namelist())
    except Exception:  # a zip file's directory may be damaged in any way, and the legacy form is no zip file
        return False
