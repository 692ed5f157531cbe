"""Phrases against the positions of their images, each against a loop over cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grounding.clip.similarity import pool, similarity_of
from grounding.data.supervision import box_masks


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_every_phrase_is_compared_with_its_own_image():
    embeddings, phrases = F.normalize(random(3, 6, 4, 5), dim=1), F.normalize(random(4, 6, seed=1), dim=1)
    index = [2, 0, 2, 1]
    maps = similarity_of(embeddings, phrases, torch.tensor(index))
    assert maps.shape == (4, 4, 5)
    for row, image in enumerate(index):
        for i, j in np.ndindex(4, 5):
            expected = float((embeddings[image, :, i, j].double() * phrases[row].double()).sum())
            assert float(maps[row, i, j]) == pytest.approx(expected, abs=1e-6)


def test_pooled_boxes_equal_a_loop_over_cells():
    """With the masks of boxes as weights, on cells four times as fine as the embeddings."""
    embeddings, stride = F.normalize(random(2, 6, 5, 5), dim=1), 16
    index = torch.tensor([1, 0, 1, 1])
    boxes = [[0.0, 0, 80, 80], [17, 30, 40.5, 61], [3, 3, 9, 8], [70, 0, 80, 33]]
    pooled = pool(embeddings, box_masks(torch.tensor(boxes), 20, 4), index)
    for row, box, own in zip(pooled, boxes, embeddings[index], strict=True):
        total = np.zeros(6)
        for i in range(5):
            for j in range(5):
                width = max(0, min(box[2], (j + 1) * stride) - max(box[0], j * stride))
                height = max(0, min(box[3], (i + 1) * stride) - max(box[1], i * stride))
                total += width * height * own[:, i, j].numpy()
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-5)


@pytest.mark.parametrize("factor", [1, 4])
def test_pooled_heatmaps_equal_a_loop_over_cells(factor):
    embeddings, weights = random(2, 6, 4, 4), random(3, 4 * factor, 4 * factor, seed=1).sigmoid()
    index = torch.tensor([1, 1, 0])
    for row, own, heat in zip(pool(embeddings, weights, index), embeddings[index], weights, strict=True):
        total = np.zeros(6)
        for i, j in np.ndindex(*heat.shape):
            total += float(heat[i, j]) * own[:, i // factor, j // factor].numpy()
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-5)


@pytest.mark.parametrize("logit", [-1e4, -40.0])
def test_a_map_without_weight_pools_to_almost_nothing_and_spoils_no_gradient(logit):
    logits = torch.full((1, 8, 8), logit, requires_grad=True)
    pooled = pool(random(1, 6, 2, 2), logits.sigmoid(), torch.zeros(1, dtype=torch.long))
    assert pooled.norm() < 1e-3
    pooled.sum().backward()
    assert logits.grad.isfinite().all() and logits.grad.abs().max() < 10
