"""What a decoder can learn from a phrase that is about an image when nobody says where in it.

CLIP's own similarity map is the teacher: it knows little of where things end, but it errs differently from image to
image, and a decoder that is to follow it everywhere learns what the maps have in common (Zhou et al. 2022, "Extract
Free Dense Labels from CLIP", section 3.3). Beside it stand losses that no single map can satisfy: regions and phrases
must find each other (`contrast`), what is left of the image must not fit the phrase, neighbours of one colour belong
together, and a mirrored image has the mirrored answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import EllipsisType

import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.contrast import TEMPERATURE
from grounding.errors import InputError
from grounding.similarity import similarity_of, stretch_to_unit

SAME_COLOUR = 0.1  # summed over red, green and blue in [0, 1]
NEIGHBOURS = ((0, 1), (1, 0), (0, 2), (2, 0))  # cells down and across


@dataclass(frozen=True)
class WeakConfig:
    """Weights of the losses that need no box, beside the contrast.

    Attributes:
        map_weight: of following CLIP's similarity map.
        teacher_sizes: input sizes at which that map is made, besides the model's own, and averaged: at one size CLIP
            draws all objects alike, and at several its errors differ.
        threshold: of that map, stretched to [0, 1]: where the target is one half.
        steepness: of the target around the threshold.
        background_weight: of what lies outside of the heatmap not fitting the phrase.
        colour_weight: of neighbours of one colour belonging together.
        mirror_weight: of a mirrored image having the mirrored heatmap, where its phrase can be mirrored; asks the
            decoder twice.
    """

    map_weight: float = 1.0
    teacher_sizes: tuple[int, ...] = ()
    threshold: float = 0.7
    steepness: float = 12.0
    background_weight: float = 0.0
    colour_weight: float = 0.5
    mirror_weight: float = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError(f"losses.weak.threshold is {self.threshold}: give a share between 0 and 1")
        if self.steepness <= 0:
            raise InputError(f"losses.weak.steepness is {self.steepness}: give a number above 0")
        if any(size < 32 or size % 32 for size in self.teacher_sizes):
            raise InputError(f"losses.weak.teacher_sizes is {list(self.teacher_sizes)}: give positive multiples of 32")
        refuse_negative("losses.weak", map_weight=self.map_weight, background_weight=self.background_weight,
                        colour_weight=self.colour_weight, mirror_weight=self.mirror_weight)  # fmt: skip


def refuse_negative(section: str, **weights: float) -> None:
    """Does nothing, unless a weight is negative.

    Raises:
        InputError: one is.
    """
    for name, weight in weights.items():
        if weight < 0:
            raise InputError(f"{section}.{name} is {weight}: give 0 or more")


def similarity_targets(
    embeddings: Sequence[Tensor],
    phrases: Tensor,
    image_index: Tensor,
    valid: Tensor,
    *,
    threshold: float,
    steepness: float,
) -> Tensor:
    """CLIP's similarity maps as targets for heatmaps.

    Args:
        embeddings: CLIP's own dense embeddings at one or several input sizes, each (B, E, h, w), L2-normalised.
        phrases: (P, E) L2-normalised.
        image_index: (P,) int64, the image each phrase is about.
        valid: (P, H, W) bool, False on padding.
        threshold, steepness: as in `WeakConfig`.

    Returns:
        (P, H, W) in [0, 1], without gradient.
    """
    with torch.no_grad():
        maps = []
        for of_size in embeddings:
            similarity = similarity_of(of_size, phrases, image_index)
            content = F.adaptive_max_pool2d(valid.float(), similarity.shape[-2:]) > 0
            stretched = stretch_to_unit(similarity, content)
            # Padding's zeros are left out of the means, or the image would seem to fit less wherever it borders on it.
            both = torch.stack([stretched, content.to(stretched.dtype)], dim=1)
            total, weights = F.interpolate(both, size=valid.shape[-2:], mode="bilinear").unbind(dim=1)
            maps.append(total / weights.clamp(min=1e-6))
        return torch.sigmoid(steepness * (torch.stack(maps).mean(dim=0) - threshold)) * valid


def background_loss(inside: Tensor, outside: Tensor, phrases: Tensor) -> Tensor:
    """The phrase must fit what the heatmap holds better than what it leaves (Xie et al. 2022, "CLIMS", section 3.3).

    There, either similarity is pushed on its own; taken together, the two cannot be met by lowering both.

    Args:
        inside, outside: (P, E) embeddings pooled by the heatmap and by its complement, L2-normalised.
        phrases: (P, E) L2-normalised.

    Returns:
        () mean over phrases.
    """
    margin = ((inside - outside) * phrases).sum(dim=-1)
    return F.softplus(-margin / TEMPERATURE).mean()


def colour_loss(logits: Tensor, colours: Tensor, valid: Tensor) -> Tensor:
    """Neighbours of one colour belong together (Tian et al. 2021, "BoxInst", section 3.2).

    Args:
        logits: (P, h, w).
        colours: (P, 3, h, w) mean colour of each cell, in [0, 1].
        valid: (P, h, w) bool, False on padding.

    Returns:
        () -log of the probability that two neighbours of one colour are both in or both out, their mean.
    """
    losses, pairs = [], []
    for (down, across), alike in zip(NEIGHBOURS, alike_neighbours(colours, valid), strict=True):
        first, second = _cells(logits.shape, down, across)
        both_in = F.logsigmoid(logits[first]) + F.logsigmoid(logits[second])
        both_out = F.logsigmoid(-logits[first]) + F.logsigmoid(-logits[second])
        losses.append((-torch.logaddexp(both_in, both_out) * alike).sum())
        pairs.append(alike.sum())
    return torch.stack(losses).sum() / torch.stack(pairs).sum().clamp(min=1)


def alike_neighbours(colours: Tensor, valid: Tensor) -> list[Tensor]:
    """Which neighbours are of one colour, for each of `NEIGHBOURS`.

    Args:
        colours: (P, 3, h, w) mean colour of each cell, in [0, 1].
        valid: (P, h, w) bool, False on padding.

    Returns:
        (P, h - down, w - across) bool each, True where both cells are valid and alike.
    """
    alike = []
    for down, across in NEIGHBOURS:
        first, second = _cells(colours.shape, down, across)
        of_one_colour = (colours[first] - colours[second]).abs().sum(dim=1) < SAME_COLOUR
        alike.append(of_one_colour & valid[first] & valid[second])
    return alike


def _cells(shape: torch.Size, down: int, across: int) -> tuple[tuple[EllipsisType | slice, ...], ...]:
    """Where in (..., h, w) the cells are that have a neighbour so far down and across, and where these neighbours."""
    height, width = shape[-2:]
    return (
        (..., slice(0, height - down), slice(0, width - across)),
        (..., slice(down, height), slice(across, width)),
    )


def mirror_loss(logits: Tensor, mirrored_logits: Tensor, valid: Tensor) -> Tensor:
    """A mirrored image has the mirrored heatmap (Wang et al. 2020, "SEAM", section 3.2).

    Args:
        logits: (P, h, w) of the images.
        mirrored_logits: (P, h, w) of the mirrored images, asked the mirrored phrases.
        valid: (P, h, w) bool, False on the images' padding.

    Returns:
        () mean squared difference of the heatmaps over valid cells.
    """
    difference = (logits.sigmoid() - mirrored_logits.flip(-1).sigmoid()).square()
    return (difference * valid).sum() / valid.sum()
