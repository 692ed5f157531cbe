"""Low-rank updates of CLIP's image tower: its own weights stay as they are, and what training adds to them is small.

Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1, on convolutions: a kernel
(O, I, k, k) is taken for a matrix of O rows, and the update of it is a product of two thin ones.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from grounding.clip.dense import DenseCLIP

UPDATED_STAGES = ("layer3", "layer4")  # the last ones: what comes before is general, and its gradients dear


class LowRankUpdates(nn.Module):
    """What is added to the convolutions of some stages; nothing, before training.

    Args:
        dense: the frozen image tower.
        rank: of the update of each convolution.
    """

    def __init__(self, dense: DenseCLIP, *, rank: int) -> None:
        super().__init__()
        self._shapes: dict[str, torch.Size] = {}
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for stage in UPDATED_STAGES:
            for name, module in getattr(dense.visual, stage).named_modules():
                if isinstance(module, nn.Conv2d):
                    shape = module.weight.shape
                    key = f"{stage}.{name}".replace(".", "/")  # a module's name holds no dot
                    self._shapes[key] = shape
                    inputs = math.prod(shape[1:])
                    self.down[key] = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
                    self.up[key] = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self) -> dict[str, Tensor]:
        """Name of a convolution's weight in the image tower -> (O, I, k, k) what is added to it."""
        return {
            f"{key.replace('/', '.')}.weight": (self.up[key] @ self.down[key]).view(shape)
            for key, shape in self._shapes.items()
        }
