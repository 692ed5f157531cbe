"""The tensors in a CLIP's file, read without running what a stranger may have put there.

Safetensors and state dicts are data. OpenAI publishes CLIP as TorchScript archives, and such an archive is a program
that runs while it is read: one that OpenAI did not publish is read only where the user vouches for it.
"""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from grounding.clip.package import clip
from grounding.errors import InputError
from grounding.runtime.files import sha256_of

# The `clip` package compares its downloads with them: the last folder of each address.
PUBLISHED_SHA256 = frozenset(address.split("/")[-2] for address in clip.clip._MODELS.values())


def read_state_dict(path: Path, *, trust_checkpoint: bool = False) -> dict[str, Tensor]:
    """The tensors of a safetensors file, a saved state dict or a TorchScript archive; no pickled code is run.

    Args:
        path: the file.
        trust_checkpoint: whether a TorchScript archive may run its code, although OpenAI did not publish it.

    Returns:
        Name -> tensor on the CPU, unchecked: a state dict may hold other things than a CLIP's weights.

    Raises:
        InputError: the file cannot be read as any of these, or is an archive that nobody vouches for.
    """
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
