"""CLIP's similarity maps on a scale that one threshold can serve."""

from __future__ import annotations

import torch
from torch import Tensor


def stretch_to_unit(similarity: Tensor, valid: Tensor) -> Tensor:
    """Similarity maps stretched so that the valid positions of each span [0, 1]; padding becomes 0.

    The band in which CLIP's cosines lie differs between phrases: without this, one threshold could not serve two of
    them.

    Args:
        similarity: (P, h, w).
        valid: (P, h, w) bool, at least one True per map.

    Returns:
        (P, h, w) in [0, 1]; a map that is constant becomes 0.
    """
    low = similarity.masked_fill(~valid, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = similarity.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
    stretched = (similarity - low) / (high - low).clamp(min=1e-6)
    return stretched.clamp(0, 1) * valid
