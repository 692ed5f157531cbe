"""Which CLIP: by name, from OpenAI's file, or the small one that comes with this package.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision". The classes are the
`clip` package's own; this file finds weights for them and says where they came from.
"""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from grounding.clip.checkpoint_files import read_state_dict
from grounding.clip.package import CLIP, ModifiedResNet, Transformer, build_model, clip
from grounding.clip.precision import refuse_without_compiler
from grounding.errors import InputError, is_writable
from grounding.runtime.files import sha256_of

RESNETS = ("RN50", "RN101", "RN50x4", "RN50x16")
EMBEDDED = "embedded"
EMBEDDED_FILE = Path(__file__).parents[1] / "weights" / "embedded_clip.safetensors"
CONTEXT_LENGTH = 77
MAX_CHARACTERS = 10_000  # of a phrase: more are never 77 tokens, and take seconds to be found so
# Channel means and deviations of CLIP's preprocessing (the `clip` package, `clip.py`, `_transform`), for RGB in [0, 1].
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass(frozen=True)
class LoadedCLIP:
    """A frozen CLIP and where its weights came from.

    Attributes:
        model: the `clip` package's CLIP with a ResNet tower, float32, in evaluation mode, no parameter trainable.
        name: what was asked for: a name, a path, or "embedded".
        weights: a sentence for reports, with the file and the start of its SHA-256.
        sha256: of the file, in hexadecimal.
        precision: torch.float32 or torch.bfloat16: of what `image_tower` and `text_transformer` compute in.
        compiled: whether dense features come from a tower that `torch.compile` has made for this machine.
    """

    model: CLIP
    name: str
    weights: str
    sha256: str
    precision: torch.dtype = torch.float32
    compiled: bool = False

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

    Args:
        name: "embedded"; one of `RESNETS`, which the `clip` package downloads and checks; or the path of a file:
            OpenAI's TorchScript archive, a state dict saved by torch, or safetensors.
        device: where the model goes.
        precision, compiled: as in `LoadedCLIP`.
        trust_checkpoint: whether a TorchScript archive may run its code, although OpenAI did not publish it.

    Returns:
        The model and where it came from.

    Raises:
        InputError: no such name or file, the download failed, the file holds no CLIP with a ResNet tower or is an
            archive that nobody vouches for, or there is no compiler.
    """
    if compiled:
        refuse_without_compiler(device)
    name = os.fspath(name)
    if name == EMBEDDED:
        path = EMBEDDED_FILE
        model = _from_file(path, trust_checkpoint=False)
    elif name in RESNETS:
        path = Path("~/.cache/clip").expanduser() / f"{name}.pt"
        try:
            model, _ = clip.load(name, device="cpu", jit=False)
        except (OSError, RuntimeError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError(
                f"CLIP {name} could not be downloaded ({reason}): connect once, or give the path of OpenAI's file"
            ) from error
    elif Path(name).is_file():
        path = Path(name)
        model = _from_file(path, trust_checkpoint=trust_checkpoint)
    else:
        known = ", ".join((EMBEDDED, *RESNETS))
        raise InputError(f"no CLIP {name!r}: give one of {known}, or the path of a CLIP checkpoint file")
    model = model.float().eval().requires_grad_(False).to(device)
    sha256 = sha256_of(path)
    weights = f"CLIP {name} ({path.name}, sha256 {sha256[:12]}...)"
    return LoadedCLIP(model, name, weights, sha256, precision, compiled)


def fold_batch_norms(visual: ModifiedResNet) -> ModifiedResNet:
    """A copy of CLIP's ResNet with identities in the place of its batch norms; frozen, in evaluation mode.

    At inference a batch norm scales and shifts channels by fixed numbers, which a convolution's weights can do as well
    (Jacob et al. 2018, "Quantization and Training of Neural Networks", section 3.2). Results differ by rounding only.

    Args:
        visual: in evaluation mode; left as it is.
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
    mean = torch.tensor(PIXEL_MEAN, device=images.device).view(3, 1, 1)
    std = torch.tensor(PIXEL_STD, device=images.device).view(3, 1, 1)
    return (images.float() / 255 - mean) / std


def tokenize(phrases: list[str]) -> Tensor:
    """Token ids (N, 77) int64 of phrases, zero after the end token.

    Raises:
        InputError: a phrase is empty, or longer than CLIP's 77 tokens, or holds half a character.
    """
    for phrase in phrases:
        if not phrase.strip():
            raise InputError("the phrase is empty: say in a few words what to look for")
        if not is_writable(phrase):
            raise InputError(f"the phrase {_beginning(phrase)} holds half a character: give it as whole Unicode text")
        if len(phrase) > MAX_CHARACTERS:
            raise InputError(f"the phrase {_beginning(phrase)} has {len(phrase)} characters: shorten it")
    try:
        return clip.tokenize(phrases, context_length=CONTEXT_LENGTH).long()
    except RuntimeError:
        pass
    for phrase in phrases:  # find the one to name
        try:
            clip.tokenize(phrase, context_length=CONTEXT_LENGTH)
        except RuntimeError:
            raise InputError(
                f"the phrase {_beginning(phrase)} is longer than CLIP's {CONTEXT_LENGTH} tokens: shorten it"
            ) from None
    raise AssertionError("tokenizing fails for the list and for none of its phrases")


def _beginning(phrase: str) -> str:
    return repr(phrase if len(phrase) <= 60 else phrase[:60] + "...")


def encode_tokens(model: CLIP, tokens: Tensor, *, transformer: Transformer | None = None) -> tuple[Tensor, Tensor]:
    """Text embeddings, running the tower only as far as the longest phrase of the batch.

    The text tower is causal: a position sees only those before it, and CLIP reads the phrase at its end token.
    What follows that token can therefore be left out without changing the result.

    Args:
        model: the CLIP.
        tokens: (N, 77) int64; the end token has the highest id.
        transformer: in place of the model's own, such as `LoadedCLIP.text_transformer`.

    Returns:
        (N, E) float32 embeddings, not normalised, as `model.encode_text` gives them, and (N, L, W) the states that the
        tower ends with at each token, up to the end token of the longest phrase.
    """
    length = int(tokens.argmax(dim=-1).max()) + 1
    return text_states(model, tokens[:, :length], transformer=transformer)


def text_states(model: CLIP, tokens: Tensor, *, transformer: Transformer | None = None) -> tuple[Tensor, Tensor]:
    """As `encode_tokens`, of (N, L) tokens that are all run, L at most 77: no step depends on their values."""
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    blocks = (transformer or model.transformer).resblocks
    mask = blocks[0].attn_mask[:length, :length]
    x = x.permute(1, 0, 2).to(blocks[0].mlp.c_fc.weight.dtype)  # the transformer takes (length, N, width)
    for block in blocks:
        attended = block.ln_1(x)
        x = x + block.attn(attended, attended, attended, need_weights=False, attn_mask=mask.to(x))[0]
        x = x + block.mlp(block.ln_2(x))
    states = model.ln_final(x.permute(1, 0, 2).float())
    ends = tokens.argmax(dim=-1)
    return states[torch.arange(states.shape[0], device=states.device), ends] @ model.text_projection, states


def _from_file(path: Path, *, trust_checkpoint: bool) -> CLIP:
    state_dict = read_state_dict(path, trust_checkpoint=trust_checkpoint)
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
