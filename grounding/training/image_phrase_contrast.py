"""Image-phrase contrast, for phrases of which nobody says where in their image they are: multiple-instance learning."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from grounding.clip.similarity import soft_maximum
from grounding.training.info_nce import MAX_SCALE, TEMPERATURE, gathered, info_nce, same_words


@dataclass(frozen=True, eq=False)
class ImagesAndPhrases:
    """B images and P phrases, each of which is about one of them; nobody says where in it.

    Attributes:
        regions: (B, E, h, w) float32, L2-normalised adapted dense embeddings.
        valid: (B, h, w) bool, False on padding; at least one True per image.
        phrases: (P, E) float32, L2-normalised adapted embeddings of the phrases.
        unadapted: (P, E) float32, CLIP's own, which tell equal words.
        image_ids: (B,) int64.
        about: (P,) int64, of the image that a phrase is about.
    """

    regions: Tensor
    valid: Tensor
    phrases: Tensor
    unadapted: Tensor
    image_ids: Tensor
    about: Tensor


class ImagePhraseContrast(nn.Module):
    """InfoNCE between images and phrases, where a phrase fits an image as well as it fits some of its positions.

    Multiple-instance learning: of an image it is known that a phrase fits a part of it, and not which. The score of
    a pair is a soft maximum of the cosines at all positions (`soft_maximum`; Ilse et al. 2018, "Attention-based Deep
    Multiple Instance Learning", section 2, for the setting). The phrases of an image are not each other's
    negatives, since they may mean the same object, nor are phrases of equal words.

    Args:
        temperature: at the start; divides the scores.
    """

    def __init__(self, temperature: float = TEMPERATURE) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))

    def forward(self, own: ImagesAndPhrases, log_sharpness: Tensor) -> Tensor:
        """() mean loss of both directions over this process's phrases, against all processes' images and phrases.

        Args:
            own: of this process.
            log_sharpness: () logarithm of how sharp the soft maximum is.
        """
        everyone = gathered(own)
        with torch.no_grad():
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
            log_sharpness.clamp_(max=math.log(MAX_SCALE))
        scale, sharpness = self.log_scale.exp(), log_sharpness.exp()
        equal_words = same_words(own.unadapted, everyone.unadapted)  # (P, all P)
        to_phrases = scale * pooled_similarity(own.regions, own.valid, everyone.phrases, sharpness).T  # (B, all P)
        if everyone is own:  # one process: the same scores, and most of the loss's time
            to_images = to_phrases.T
        else:
            to_images = scale * pooled_similarity(
                everyone.regions, everyone.valid, own.phrases, sharpness
            )  # (P, all B)

        # Each phrase picks its image. Images that others describe in the same words are no negatives.
        is_image = own.about[:, None] == everyone.image_ids[None, :]  # (P, all B)
        described = everyone.about[:, None] == everyone.image_ids[None, :]  # (all P, all B)
        also_fits = (equal_words.float() @ described.float()) > 0
        phrase_to_image = info_nce(to_images, is_image, also_fits & ~is_image)

        # The image of each phrase picks that phrase, among those of other images and of other words.
        positive = (own.about[:, None] == everyone.about[None, :]) & equal_words
        ignored = ((own.about[:, None] == everyone.about[None, :]) | equal_words) & ~positive
        row = (own.about[:, None] == own.image_ids[None, :]).int().argmax(dim=1)
        image_to_phrase = info_nce(to_phrases.index_select(0, row), positive, ignored)
        return (phrase_to_image + image_to_phrase) / 2


def pooled_similarity(regions: Tensor, valid: Tensor, phrases: Tensor, sharpness: Tensor) -> Tensor:
    """How well phrases fit images: the soft maximum, over positions, of their cosines.

    Args:
        regions: (B, E, h, w) L2-normalised.
        valid: (B, h, w) bool, at least one True per image.
        phrases: (P, E) L2-normalised.
        sharpness: () above 0: towards 0 the mean over positions, towards infinity the maximum.

    Returns:
        (P, B) in [-1, 1].
    """
    return soft_maximum(torch.einsum("behw,pe->pbhw", regions, phrases), valid, sharpness)
