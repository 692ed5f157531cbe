"""InfoNCE with several positives and columns left out, and what processes that share a batch exchange for it."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, TypeVar

import torch
import torch.distributed
import torch.distributed.nn.functional
from torch import Tensor

from grounding.runtime.distributed import process_count

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

TEMPERATURE = 0.07  # at the start
SAME_WORDS = 1 - 1e-5  # cosine from which two phrases are one, apart from rounding
MAX_SCALE = 100.0  # of the similarities, as in CLIP (Radford et al. 2021, section 2.5)


def same_words(phrases: Tensor, others: Tensor) -> Tensor:
    """(P, Q) bool: which of P phrases and Q others, (., E) L2-normalised embeddings of CLIP's, have equal words."""
    return phrases @ others.T > SAME_WORDS


Gathered = TypeVar("Gathered", bound="DataclassInstance")


def gathered(own: Gathered) -> Gathered:
    """What all processes have, in the order of the processes; gradients flow back to where they came from.

    Args:
        own: a dataclass of tensors, whose rows are what this process has; equal in all else.
    """
    if process_count() == 1:
        return own
    return type(own)(*(_gather(getattr(own, each.name)) for each in fields(own)))


def _gather(x: Tensor) -> Tensor:
    """Collective calls want equal shapes: padded to the most rows of any process, cut back afterwards."""
    count = torch.tensor([len(x)], device=x.device)
    counts = [torch.zeros_like(count) for _ in range(process_count())]
    torch.distributed.all_gather(counts, count)
    sizes = [int(each) for each in counts]
    padded = torch.cat([x, x.new_zeros(max(sizes) - len(x), *x.shape[1:])])
    if x.requires_grad:
        parts = torch.distributed.nn.functional.all_gather(padded)
    else:
        parts = tuple(torch.zeros_like(padded) for _ in sizes)
        torch.distributed.all_gather(list(parts), padded)
    return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])


def info_nce(logits: Tensor, positive: Tensor, ignored: Tensor) -> Tensor:
    """Mean over rows of the mean over a row's positives of -log softmax; ignored columns are not in the softmax."""
    logits = logits.masked_fill(ignored, -torch.inf)
    log_likelihood = logits - logits.logsumexp(dim=1, keepdim=True)
    per_row = log_likelihood.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1)
    return -per_row.mean()
