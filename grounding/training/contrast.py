"""Region-phrase contrast: each region picks its phrase among many, and each phrase its region."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grounding.training.info_nce import MAX_SCALE, TEMPERATURE, gathered, info_nce, same_words


@dataclass(frozen=True, eq=False)
class Pairs:
    """P phrases, each with the region it refers to.

    Attributes:
        regions: (P, E) float32, L2-normalised embeddings of the regions.
        phrases: (P, E) float32, L2-normalised embeddings of the phrases.
        region_ids: (P,) int64, equal where two phrases refer to the same region.
        image_ids: (P,) int64, the image of each.
    """

    regions: Tensor
    phrases: Tensor
    region_ids: Tensor
    image_ids: Tensor


class RegionPhraseContrast(nn.Module):
    """Symmetric InfoNCE (van den Oord et al. 2018, section 2.3) with a learned temperature.

    Phrases of one region are positives of each other's region (Khosla et al. 2020, "Supervised contrastive learning",
    equation 2). Phrases of equal words in different images are neither positive nor negative. Other regions of the
    same image are the hardest negatives there are.

    Args:
        temperature: at the start; divides the cosine similarities.
        within_image: whether other regions of the same image are negatives; else they are left out.
    """

    def __init__(self, temperature: float = TEMPERATURE, *, within_image: bool = True) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        self.within_image = within_image

    def forward(self, pairs: Pairs) -> Tensor:
        """() mean loss of both directions over this process's pairs, against those of all processes.

        The gradient with respect to this process's embeddings includes that of the other processes' losses, as a sum.
        """
        everyone = gathered(pairs)
        with torch.no_grad():  # the parameter, not its exponential: that would have no gradient beyond the cap
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
        scale = self.log_scale.exp()
        positive = pairs.region_ids[:, None] == everyone.region_ids[None, :]
        ignored = ~positive & same_words(pairs.phrases, everyone.phrases)
        if not self.within_image:
            ignored |= ~positive & (pairs.image_ids[:, None] == everyone.image_ids[None, :])
        region_to_phrase = scale * pairs.regions @ everyone.phrases.T  # (P, P of all processes)
        phrase_to_region = scale * pairs.phrases @ everyone.regions.T
        return (info_nce(region_to_phrase, positive, ignored) + info_nce(phrase_to_region, positive, ignored)) / 2
