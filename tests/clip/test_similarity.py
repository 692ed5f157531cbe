"""Phrases against the positions of their images, each against a loop over cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from grounding.clip.similarity import pool, similarity_of


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
