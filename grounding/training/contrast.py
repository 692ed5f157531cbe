"""Contrasts: a region picks its phrase among many and a phrase its region; or, without boxes, a phrase its image.

All are InfoNCE (van den Oord et al. 2018, section 2.3), in both directions, with a learned temperature. Several
processes hold parts of a batch: each takes the loss of what is its own, against what all have.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.nn.functional import all_gather

from grounding.clip.similarity import soft_maximum
from grounding.runtime.distributed import gather, process_count

TEMPERATURE = 0.07  # at the start
SAME_WORDS = 1 - 1e-5  # cosine from which two phrases are one, apart from rounding
MAX_SCALE = 100.0  # of the similarities, as in CLIP (Radford et al. 2021, section 2.5)


@dataclass(frozen=True, eq=False)
class Pairs:
    """P phrases, each with the region it refers to.

    Embeddings are (P, E) float32, L2-normalised; ids, (P,) int64, are equal where two phrases refer to the same region.
    """

    regions: Tensor
    phrases: Tensor
    region_ids: Tensor


@dataclass(frozen=True, eq=False)
class ImagesAndPhrases:
    """B images and P phrases, each of which is about one of them; nobody says where in it.

    Adapted embeddings of positions, (B, E, h, w), and of phrases, (P, E), are float32 and L2-normalised; `valid`,
    (B, h, w) bool, is False on padding and somewhere True. `unadapted`, (P, E), are CLIP's own, which tell equal words.
    Ids are int64, (B,) of the images and (P,) of the image that a phrase is about.
    """

    regions: Tensor
    valid: Tensor
    phrases: Tensor
    unadapted: Tensor
    image_ids: Tensor
    about: Tensor


class RegionPhraseContrast(nn.Module):
    """Each region picks its phrase, and each phrase its region.

    Phrases of one region are positives of each other's region (Khosla et al. 2020, "Supervised contrastive learning",
    equation 2). Phrases of equal words in different images are neither positive nor negative. Other regions of the
    same image are the hardest negatives there are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def forward(self, pairs: Pairs) -> Tensor:
        """() mean loss of both directions over this process's pairs, against those of all processes.

        The gradient with respect to this process's embeddings includes that of the other processes' losses, as a sum.
        """
        everyone = gathered(pairs)
        scale = _capped(self.log_scale)
        positive = pairs.region_ids[:, None] == everyone.region_ids[None, :]
        ignored = ~positive & same_words(pairs.phrases, everyone.phrases)
        region_to_phrase = scale * pairs.regions @ everyone.phrases.T  # (P, P of all processes)
        phrase_to_region = scale * pairs.phrases @ everyone.regions.T
        return (info_nce(region_to_phrase, positive, ignored) + info_nce(phrase_to_region, positive, ignored)) / 2


class ImagePhraseContrast(nn.Module):
    """Each phrase picks its image, and each image its phrases, which fit it as well as they fit some of its positions.

    Multiple-instance learning: of an image it is known that a phrase fits a part of it, and not which. The score of
    a pair is a soft maximum of the cosines at all positions (`soft_maximum`; Ilse et al. 2018, "Attention-based Deep
    Multiple Instance Learning", section 2, for the setting). The phrases of an image are not each other's
    negatives, since they may mean the same object, nor are phrases of equal words.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(-math.log(TEMPERATURE)))

    def forward(self, own: ImagesAndPhrases, log_sharpness: Tensor) -> Tensor:
        """() mean loss of both directions over this process's phrases, against all processes' images and phrases."""
        everyone = gathered(own)
        scale, sharpness = _capped(self.log_scale), _capped(log_sharpness)
        equal_words = same_words(own.unadapted, everyone.unadapted)  # (P, all P)
        to_phrases = scale * pooled_similarity(own.regions, own.valid, everyone.phrases, sharpness).T  # (B, all P)
        if everyone is own:  # one process: the same scores, and most of the loss's time
            to_images = to_phrases.T
        else:  # (P, all B)
            to_images = scale * pooled_similarity(everyone.regions, everyone.valid, own.phrases, sharpness)

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

    (P, B) in [-1, 1] from `ImagesAndPhrases`' regions, valid and phrases; `sharpness`, (), is as for `soft_maximum`.
    """
    return soft_maximum(torch.einsum("behw,pe->pbhw", regions, phrases), valid, sharpness)


def info_nce(logits: Tensor, positive: Tensor, ignored: Tensor) -> Tensor:
    """Mean over rows of the mean over a row's positives of -log softmax; ignored columns are not in the softmax."""
    logits = logits.masked_fill(ignored, -torch.inf)
    log_likelihood = logits - logits.logsumexp(dim=1, keepdim=True)
    per_row = log_likelihood.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return -per_row.mean()


def same_words(phrases: Tensor, others: Tensor) -> Tensor:
    """(P, Q) bool: which of P phrases and Q others, (., E) L2-normalised embeddings of CLIP's, have equal words."""
    return phrases @ others.T > SAME_WORDS


def _capped(log_scale: Tensor) -> Tensor:
    """A learned scale, at most `MAX_SCALE`; of the parameter, since a capped exponential would have no gradient."""
    with torch.no_grad():
        log_scale.clamp_(max=math.log(MAX_SCALE))
    return log_scale.exp()


Gathered = TypeVar("Gathered", Pairs, ImagesAndPhrases)


def gathered(own: Gathered) -> Gathered:
    """What all processes have, in the order of the processes; gradients flow back to where they came from."""
    if process_count() == 1:
        return own
    parts = list(vars(own).values())
    sizes = zip(*gather([[len(x) for x in parts]]), strict=True)  # of each part, in every process
    return type(own)(*map(_gather, parts, sizes))


def _gather(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Collective calls want equal shapes: padded to the most rows of any process, cut back afterwards."""
    padded = torch.cat([x, x.new_zeros(max(sizes) - len(x), *x.shape[1:])])
    parts = all_gather(padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])
