"""Box masks: what a heatmap is supervised with, 1 inside the annotated box and 0 outside."""

from __future__ import annotations

import torch
from torch import Tensor


def box_masks(boxes_xyxy: Tensor, size: int, stride: int) -> Tensor:
    """The share of every cell that its box covers.

    Args:
        boxes_xyxy: (P, 4) in model pixels.
        size: cells along a side.
        stride: model pixels per cell.

    Returns:
        (P, size, size) float32 in [0, 1].
    """
    edges = torch.arange(size + 1, device=boxes_xyxy.device, dtype=torch.float32) * stride
    low, high = edges[:-1], edges[1:]
    x1, y1, x2, y2 = boxes_xyxy.float()[:, :, None].unbind(dim=1)  # (P, 1) each
    across = (torch.minimum(x2, high) - torch.maximum(x1, low)).clamp(min=0) / stride
    down = (torch.minimum(y2, high) - torch.maximum(y1, low)).clamp(min=0) / stride
    return down[:, :, None] * across[:, None, :]
