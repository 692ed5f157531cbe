"""Region-phrase contrast: each region picks its phrase among many, and each phrase its region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor, nn

from grounding.runtime.distributed import process_count

TEMPERATURE = 0.07  # at the start
SAME_WORDS = 1 - 1e-5  # cosine from which two phrases are one, apart from rounding
MAX_SCALE = 100.0  # of the similarities, as in CLIP (Radford et al. 2021, section 2.5)


@dataclass(frozen=True)
class Pairs:
    """P phrases, each with the region it refers to.

    Attributes:
        regions: (P, E) float32, L2-normalised embeddings of the regions.
        phrases: (P, E) float32, L2-normalised embeddings of the phrases.
        region_ids: (P,) int64, equal where two phrases refer to the same region.
        image_ids: (P,) int64, the image of each.
        region_known: (P,) bool, False where nobody says which region a phrase refers to: another phrase of the same
            image may then refer to the same one.
    """

    regions: Tensor
    phrases: Tensor
    region_ids: Tensor
    image_ids: Tensor
    region_known: Tensor


class RegionPhraseContrast(nn.Module):
    """Symmetric InfoNCE (van den Oord et al. 2018, section 2.3) with a learned temperature.

    Phrases of one region are positives of each other's region (Khosla et al. 2020, "Supervised contrastive learning",
    equation 2). Phrases of equal words in different images are neither positive nor negative. Other regions of the
    same image are the hardest negatives there are, and left out where it is unknown that they are others.

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
        ignored = ~positive & (self._may_be_same_region(pairs, everyone) | _same_words(pairs, everyone))
        region_to_phrase = scale * pairs.regions @ everyone.phrases.T  # (P, P of all processes)
        phrase_to_region = scale * pairs.phrases @ everyone.regions.T
        return (_info_nce(region_to_phrase, positive, ignored) + _info_nce(phrase_to_region, positive, ignored)) / 2

    def _may_be_same_region(self, pairs: Pairs, everyone: Pairs) -> Tensor:
        """(P, all P) bool: pairs of one image, except where both regions are known and `within_image` is set."""
        same_image = pairs.image_ids[:, None] == everyone.image_ids[None, :]
        if not self.within_image:
            return same_image
        return same_image & ~(pairs.region_known[:, None] & everyone.region_known[None, :])


def _same_words(pairs: Pairs, everyone: Pairs) -> Tensor:
    """(P, all P) bool."""
    return pairs.phrases @ everyone.phrases.T > SAME_WORDS


def gathered(pairs: Pairs) -> Pairs:
    """The pairs of all processes, in the order of the processes; gradients flow back to where they came from."""
    if process_count() == 1:
        return pairs
    count = torch.tensor([len(pairs.regions)], device=pairs.regions.device)
    counts = [torch.zeros_like(count) for _ in range(process_count())]
    torch.distributed.all_gather(counts, count)
    sizes = [int(each) for each in counts]
    return Pairs(*(_gather(getattr(pairs, each.name), sizes) for each in fields(Pairs)))


def _gather(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Collective calls want equal shapes: padded to the most rows of any process, cut back afterwards."""
    padded = torch.cat([x, x.new_zeros(max(sizes) - len(x), *x.shape[1:])])
    if x.requires_grad:
        parts = torch.distributed.nn.functional.all_gather(padded)
    else:
        parts = tuple(torch.zeros_like(padded) for _ in sizes)
        torch.distributed.all_gather(list(parts), padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _info_nce(logits: Tensor, positive: Tensor, ignored: Tensor) -> Tensor:
    """Mean over rows of the mean over a row's positives of -log softmax; ignored columns are not in the softmax."""
    logits = logits.masked_fill(ignored, -torch.inf)
    log_likelihood = logits - logits.logsumexp(dim=1, keepdim=True)
    per_row = log_likelihood.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return -per_row.mean()
