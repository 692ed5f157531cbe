"""The losses of masks and of the distance to CLIP against loops over cells."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.data.supervision import box_masks
from grounding.training.losses import embedding_distance, mask_loss


def supersampled(box: list[float], size: int, stride: int, per_pixel: int = 8) -> np.ndarray:
    """The share of each cell's sample points that lie in the box; exact for edges on eighths of a pixel."""
    points = (np.arange(size * stride * per_pixel) + 0.5) / per_pixel
    inside = ((points >= box[1]) & (points < box[3]))[:, None] & ((points >= box[0]) & (points < box[2]))[None]
    fine = stride * per_pixel
    return inside.reshape(size, fine, size, fine).mean(axis=(1, 3))


@pytest.mark.parametrize(("size", "stride"), [(8, 4), (5, 16), (16, 1)])
def test_box_masks_are_the_share_covered(size, stride):
    rng = np.random.default_rng(size)
    corners = rng.integers(-8, 8 * (size * stride + 4), (20, 2, 2)) / 8
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    tiny = [[1.125, 1.25, 1.5, 1.375], [3, 3, 3, 9], [0, 0, size * stride, size * stride], [9, 9, 2, 2]]
    boxes = np.concatenate([boxes, tiny])
    masks = box_masks(torch.from_numpy(boxes), size, stride)
    assert masks.shape == (len(boxes), size, size) and masks.dtype == torch.float32
    expected = np.stack([supersampled(box, size, stride) for box in boxes.tolist()])
    np.testing.assert_allclose(masks, expected, atol=1e-6)


def hand_mask_loss(logits: Tensor, masks: Tensor, valid: Tensor) -> float:
    """BCE and Dice of the valid cells, cell by cell."""
    losses = []
    for logit_map, mask, keep in zip(logits.tolist(), masks.tolist(), valid.tolist(), strict=True):
        entropy = overlap = squares = cells = 0.0
        for row, column in np.argwhere(np.array(keep)):
            heat, target = 1 / (1 + math.exp(-logit_map[row][column])), mask[row][column]
            entropy -= target * math.log(heat) + (1 - target) * math.log(1 - heat)
            overlap += heat * target
            squares += heat**2 + target**2
            cells += 1
        losses.append(entropy / cells + 1 - (2 * overlap + 1) / (squares + 1))
    return sum(losses) / len(losses)


def test_mask_loss_equals_loops_over_valid_cells():
    """Of three phrases, two of them with padding of different size."""
    masks = box_masks(torch.tensor([[3.0, 5, 20, 18], [8, 8, 24, 12], [0, 0, 32, 32]]), 8, 4)
    valid = torch.ones(3, 8, 8, dtype=torch.bool)
    valid[0, :1] = valid[0, 6:] = False
    valid[1, :, :5] = False
    torch.manual_seed(0)
    logits = 2 * torch.randn(3, 8, 8)
    assert mask_loss(logits, masks, valid).item() == pytest.approx(hand_mask_loss(logits, masks, valid), rel=1e-5)


def test_embedding_distance_equals_loops_over_valid_cells() -> None:
    torch.manual_seed(0)
    adapted, original = (F.normalize(torch.randn(2, 5, 2, 3), dim=1) for _ in range(2))
    valid = torch.ones(2, 4, 6, dtype=torch.bool)
    valid[1, 1:] = valid[1, :, 2:] = False  # of the second image a part of one cell is left
    first = [
        1 - F.cosine_similarity(adapted[0, :, y, x], original[0, :, y, x], dim=0) for y in (0, 1) for x in range(3)
    ]
    second = 1 - F.cosine_similarity(adapted[1, :, 0, 0], original[1, :, 0, 0], dim=0)
    expected = (torch.stack(first).mean() + second) / 2
    torch.testing.assert_close(embedding_distance(adapted, original, valid), expected)
    assert embedding_distance(original, original, valid).abs() < 1e-6
