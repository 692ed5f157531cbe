"""Images into DenseCLIP's features, with the letterbox that leads back to their pixels."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grounding.clip.backbone import LoadedCLIP, normalise_pixels
from grounding.clip.dense import DenseCLIP, DenseFeatures
from grounding.clip.precision import own_mode
from grounding.clip.text import TextEncoder
from grounding.geometry import Letterbox
from grounding.runtime.errors import SettingsError


@dataclass(frozen=True, eq=False)
class EncodedView:
    """Images at one input size, as they are or mirrored."""

    letterboxes: tuple[Letterbox, ...]
    features: DenseFeatures
    mirrored: bool = False  # left and right are exchanged: phrases and maps have to be mirrored too

    @property
    def nbytes(self) -> int:
        """Bytes that the features take."""
        return sum(each.nbytes for each in (self.features.embeddings, *self.features.pyramid.values()))

    def valid_mask(self, stride: int) -> Tensor:
        """(B, S / stride, S / stride) bool on the features' device: False on letterbox padding."""
        masks = np.stack([letterbox.valid_mask(stride) for letterbox in self.letterboxes])
        return torch.from_numpy(masks).to(self.features.embeddings.device)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedImages:
    """Images encoded once, to be asked as often as one likes."""

    images: tuple[np.ndarray, ...]  # B originals, each (H, W, 3) uint8 RGB
    views: tuple[EncodedView, ...]  # the same images at one or more input sizes, and mirrored; at least one
    encoded_by: tuple[str, ...]  # the `identity` of the encoder of each size

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        return sum(image.nbytes for image in self.images) + sum(view.nbytes for view in self.views)


class Encoder:
    """A frozen CLIP as both towers see it here: dense features of images, embeddings of phrases.

    Images are letterboxed into a square of `model_size` pixels a side, a multiple of 32; the stride of the dense
    embeddings is 16 or 32.
    """

    def __init__(self, clip: LoadedCLIP, *, model_size: int, output_stride: int = 16) -> None:
        self.clip = clip
        self.model_size = _checked(model_size)
        self.dense = DenseCLIP(clip.image_tower, output_stride=output_stride, compiled=clip.compiled)
        self.encode_phrases = TextEncoder(clip)
        self._updates = ""

    @property
    def identity(self) -> str:
        """What its features depend on besides the image."""
        return f"{self.clip.sha256} {self.clip.precision} {self.model_size} {self.dense.output_stride} {self._updates}"

    @property
    def device(self) -> torch.device:
        """Where the CLIP is."""
        return self.encode_phrases.device

    def at(self, model_size: int) -> Encoder:
        """The same CLIP, with what it knows of phrases, at another input size."""
        other = copy.copy(self)
        other.model_size = _checked(model_size)
        return other

    def updated(self, updates: Mapping[str, Tensor]) -> Encoder:
        """The same with what training adds to weights of the image tower, as `DenseCLIP.with_updates`."""
        other = copy.copy(self)
        other.dense = self.dense.with_updates(updates)
        other._updates = str(sum(added.detach().cpu().double().sum().item() for added in updates.values()))
        return other

    @own_mode()
    def encode(self, images: Sequence[np.ndarray]) -> EncodedView:
        """Dense features of images (H, W, 3) uint8 RGB, each of any size."""
        letterboxes = tuple(Letterbox.fit((image.shape[1], image.shape[0]), self.model_size) for image in images)
        squares = np.stack([box.apply(image) for box, image in zip(letterboxes, images, strict=True)])
        return EncodedView(letterboxes, self.encode_squares(torch.from_numpy(squares)))

    def encode_squares(self, squares: Tensor, updates: Mapping[str, Tensor] | None = None) -> DenseFeatures:
        """Dense features of letterboxed images (B, S, S, 3) uint8 RGB; `updates` are as for `DenseCLIP`."""
        pixels = normalise_pixels(squares.to(self.device).permute(0, 3, 1, 2))
        return self.dense(pixels.contiguous(memory_format=torch.channels_last), updates)


def _checked(model_size: int) -> int:
    if model_size < 32 or model_size % 32:
        raise SettingsError(f"model_size is {model_size}: give a positive multiple of 32, such as 448")
    return model_size
