"""Losses of one phrase or position: box masks for the decoder, and the distance that an adapted CLIP keeps to CLIP."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def mask_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> Tensor:
    """Binary cross-entropy plus Dice (Milletari et al. 2016, "V-Net", section 3), padding left out.

    () mean over phrases, so that a small image counts as much as a large one. All are (P, h, w): logits, masks in
    [0, 1], and `valid`, False on letterbox padding and somewhere True.
    """
    weight = valid.to(logits.dtype)
    cells = weight.sum(dim=(1, 2))
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    entropy = (entropy * weight).sum(dim=(1, 2)) / cells
    heat, target = logits.sigmoid() * weight, masks * weight
    overlap = 2 * (heat * target).sum(dim=(1, 2)) + 1
    dice = 1 - overlap / (heat.square().sum(dim=(1, 2)) + target.square().sum(dim=(1, 2)) + 1)
    return (entropy + dice).mean()


def embedding_distance(adapted: Tensor, original: Tensor, valid: Tensor) -> Tensor:
    """One minus the cosine of an adapted embedding and CLIP's own: what keeps the words that training never says.

    () mean over images of the mean over their positions, in [0, 2], of dense embeddings (B, E, h, w), L2-normalised
    along E. `valid`, (B, H, W) bool with H and W multiples of h and w, is False on letterbox padding.
    """
    inside = F.adaptive_max_pool2d(valid[:, None].float(), adapted.shape[-2:])[:, 0]
    distances = 1 - (adapted * original).sum(dim=1)
    return ((distances * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2))).mean()
