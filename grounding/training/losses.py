"""What the decoder is trained on where there are boxes: their masks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def mask_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice (Milletari et al. 2016, "V-Net", section 3), padding left out.

    Args:
        logits: (P, h, w).
        masks: (P, h, w) in [0, 1].
        valid: (P, h, w) bool, False on letterbox padding; every phrase has a valid cell.

    Returns:
        () mean over phrases, so that a small image counts as much as a large one.
    """
    weight = valid.to(logits.dtype)
    cells = weight.sum(dim=(1, 2))
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    entropy = (entropy * weight).sum(dim=(1, 2)) / cells
    heat, target = logits.sigmoid() * weight, masks * weight
    overlap = 2 * (heat * target).sum(dim=(1, 2)) + 1
    dice = 1 - overlap / (heat.square().sum(dim=(1, 2)) + target.square().sum(dim=(1, 2)) + 1)
    return (entropy + dice).mean()
