"""Rules on maps against loops over positions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from grounding.methods.reclip import combine, relation_matrix
from grounding.methods.similarity_maps import LEAST, combine_maps, position_distribution, standing
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase

HEIGHT, WIDTH = 3, 4
# Every position as a box of one cell, row by row: what the rules for boxes say of them is what they say of positions.
BOXES = np.array([[x, y, x + 1, y + 1] for y in range(HEIGHT) for x in range(WIDTH)], dtype=np.float64)
PHRASES = (
    "the star", "the star left of the ring", "the leftmost star", "the ring below the star above the square",
    "the star to the right of the ring and under the square", "the bigger star", "the lower one of the two rings",
)  # fmt: skip


def distribution(seed: int) -> Tensor:
    values = torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.double)
    return values / values.sum()


@pytest.mark.parametrize("direction", ["left", "right", "above", "below"])
def test_standing_is_what_the_rule_for_boxes_says_of_cells(direction: str) -> None:
    anchor = distribution(0)
    expected = relation_matrix(direction, BOXES) @ anchor.flatten().numpy()
    np.testing.assert_allclose(standing(direction, anchor).flatten().numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("phrase", PHRASES)
def test_a_map_is_what_reclip_says_of_cells_but_for_sizes(phrase: str) -> None:
    parsed = parse_spatial_phrase(phrase)
    maps = {noun: distribution(number) for number, noun in enumerate(noun_phrases(parsed), start=1)}
    found = combine_maps(parsed, maps).flatten().numpy()
    of_boxes = {noun: each.flatten().numpy() for noun, each in maps.items()}
    if {"bigger", "smaller"} & set(parsed.superlatives):  # of which cells, all of one size, know nothing
        expected = of_boxes[parsed.head]
    else:
        expected = combine(parsed, of_boxes, BOXES)
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, expected, atol=5 * LEAST)


def test_a_rule_that_nothing_follows_leaves_the_noun() -> None:
    """All of the ring lies at the left edge: no star stands left of it, and the likeliest star is answered."""
    ring = torch.zeros(HEIGHT, WIDTH)
    ring[1, 0] = 1
    star = distribution(3).float()
    parsed = parse_spatial_phrase("the star left of the ring")
    found = combine_maps(parsed, dict(zip(noun_phrases(parsed), (star, ring), strict=True)))
    torch.testing.assert_close(found, star)


def test_distributions_are_softmaxes_over_valid_positions() -> None:
    similarity = torch.randn(2, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
    valid = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
    valid[1, 0] = False
    found = position_distribution(similarity, valid, sharpness=3.0)
    for each, mask, values in zip(found, valid, similarity, strict=True):
        torch.testing.assert_close(each[mask], (3 * values[mask]).softmax(0))
        assert (each[~mask] == 0).all()
