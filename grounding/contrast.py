"""Region-phrase contrast: each region picks its phrase among many, and each phrase its region."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor, nn

from grounding.processes import process_count

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


@dataclass(frozen=True)
class WrongPhrases:
    """N phrases that each differ in a word from the phrase of a pair, and that nobody said of its region.

    Some will be true of it all the same, as "the guy" beside "the man".

    Attributes:
        embeddings: (N, E) float32, L2-normalised.
        pair_index: (N,) int64, the pair each is set against.
    """

    embeddings: Tensor
    pair_index: Tensor


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

    def forward(self, pairs: Pairs, wrong: WrongPhrases | None = None) -> Tensor:
        """() mean loss of both directions over this process's pairs, against those of all processes.

        What other processes' losses say of this one's regions comes back with the gradient, as a sum.

        Args:
            pairs: of this process.
            wrong: further negatives of single regions.
        """
        everyone = gathered(pairs)
        with torch.no_grad():  # the parameter, not its exponential: that would have no gradient beyond the cap
            self.log_scale.clamp_(max=math.log(MAX_SCALE))
        scale = self.log_scale.exp()
        positive = pairs.region_ids[:, None] == everyone.region_ids[None, :]
        left_out = ~positive & (self._unsure(pairs, everyone) | (pairs.phrases @ everyone.phrases.T > SAME_WORDS))
        to_phrases = scale * pairs.regions @ everyone.phrases.T
        to_regions = scale * pairs.phrases @ everyone.regions.T
        to_phrases, to_regions = (each.masked_fill(left_out, -torch.inf) for each in (to_phrases, to_regions))
        against = None
        if wrong is not None and len(wrong.pair_index):
            regions = pairs.regions.index_select(0, wrong.pair_index)  # whose gradient is the same every time
            against = scale * (regions * wrong.embeddings).sum(dim=-1)
            against = _in_rows(against, wrong.pair_index, len(to_phrases))
        return (_info_nce(to_phrases, positive, against) + _info_nce(to_regions, positive)) / 2

    def _unsure(self, pairs: Pairs, everyone: Pairs) -> Tensor:
        same_image = pairs.image_ids[:, None] == everyone.image_ids[None, :]
        if not self.within_image:
            return same_image
        return same_image & ~(pairs.region_known[:, None] & everyone.region_known[None, :])


def gathered(pairs: Pairs) -> Pairs:
    """The pairs of all processes, in the order of the processes; gradients flow back to where they came from."""
    if process_count() == 1:
        return pairs
    count = torch.tensor([len(pairs.regions)], device=pairs.regions.device)
    counts = [torch.zeros_like(count) for _ in range(process_count())]
    torch.distributed.all_gather(counts, count)
    sizes = [int(each) for each in counts]
    return Pairs(
        *(
            _gather(each, sizes)
            for each in (pairs.regions, pairs.phrases, pairs.region_ids, pairs.image_ids, pairs.region_known)
        )
    )


def _gather(x: Tensor, sizes: Sequence[int]) -> Tensor:
    """Collective calls want equal shapes: padded to the most rows of any process, cut back afterwards."""
    padded = torch.cat([x, x.new_zeros(max(sizes) - len(x), *x.shape[1:])])
    if x.requires_grad:
        parts = torch.distributed.nn.functional.all_gather(padded)
    else:
        parts = tuple(torch.zeros_like(padded) for _ in sizes)
        torch.distributed.all_gather(list(parts), padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def _info_nce(logits: Tensor, positive: Tensor, against: Tensor | None = None) -> Tensor:
    """Mean over rows of the mean over a row's positives of -log softmax; `against` adds negatives to each row."""
    everything = logits if against is None else torch.cat([logits, against], dim=1)
    log_likelihood = logits - everything.logsumexp(dim=1, keepdim=True)
    per_row = log_likelihood.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return -per_row.mean()


def _in_rows(values: Tensor, rows: Tensor, count: int) -> Tensor:
    """(N,) values as (count, most per row): each in its row, the rest -inf."""
    column = (rows[:, None] == rows[None, :]).tril(diagonal=-1).sum(dim=1)
    filled = values.new_full((count, int(column.max()) + 1), -torch.inf)
    return filled.index_put((rows, column), values)
