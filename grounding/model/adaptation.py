"""RegionAdapter: CLIP's dense embeddings, corrected by a small learned term while CLIP itself stays as it is."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class RegionAdapter(nn.Module):
    """A residual on the dense embeddings, made from the features of a stage (Gao et al. 2021, "CLIP-Adapter", 3.2).

    CLIP-Adapter corrects an embedding by a function of that embedding; the stage's features still hold what the
    attention pool's projections dropped. The correction starts at zero: the region embeddings begin as CLIP's own, and
    leaving the adapter out gives these back.

    Args:
        channels: of the stage.
        embed_dim: E of CLIP's joint space.
    """

    def __init__(self, channels: int, embed_dim: int) -> None:
        super().__init__()
        self.correction = nn.Conv2d(channels, embed_dim, 1, bias=False)
        nn.init.zeros_(self.correction.weight)

    def forward(self, embeddings: Tensor, stage: Tensor) -> Tensor:
        """(B, E, h, w) L2-normalised embeddings and (B, C, h, w) features to (B, E, h, w), L2-normalised."""
        return F.normalize(embeddings + self.correction(stage), dim=1)
