"""The losses that need no box, against loops over cells, and what a step along their gradients does."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.errors import InputError
from grounding.training.weak import WeakConfig, alike_neighbours, pairwise_affinity_loss, pseudo_masks

CELLS, SIZE = 4, 16  # along a side, of the embeddings and of heatmaps


def each_its_own(phrases: Tensor) -> Tensor:
    return torch.arange(len(phrases))


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def padded() -> Tensor:
    """(3, SIZE, SIZE) of three images: one without padding, one with whole cells of it, one whose border cuts cells."""
    valid = torch.ones(3, SIZE, SIZE, dtype=torch.bool)
    valid[1, :4] = valid[1, 12:] = False
    valid[2, :, :3] = valid[2, :, 11:] = False
    return valid


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def hand_targets(embeddings: Tensor, phrases: Tensor, valid: Tensor, threshold: float, steepness: float) -> np.ndarray:
    """Map by map and cell by cell; between the centres of coarse cells linearly, among those with image in them."""
    factor = SIZE // CELLS
    targets = np.zeros((len(phrases), SIZE, SIZE))
    for p, (own, phrase, kept) in enumerate(zip(embeddings.numpy(), phrases.numpy(), valid.numpy(), strict=True)):
        similar = {
            (i, j): float(own[:, i, j] @ phrase)
            for i, j in np.ndindex(CELLS, CELLS)
            if kept[i * factor : (i + 1) * factor, j * factor : (j + 1) * factor].any()
        }
        low, high = min(similar.values()), max(similar.values())
        for row, column in np.argwhere(kept):
            total = weights = 0.0
            y, x = (float(np.clip((each + 0.5) / factor - 0.5, 0, CELLS - 1)) for each in (row, column))
            for (i, j), value in similar.items():
                weight = max(0.0, 1 - abs(y - i)) * max(0.0, 1 - abs(x - j))
                total += weight * (value - low) / (high - low)
                weights += weight
            targets[p, row, column] = sigmoid(steepness * (total / weights - threshold))
    return targets


def teacher() -> tuple[Tensor, Tensor]:
    """(embeddings, phrases) of three images, on padding far more like the phrase, and far less, than on the image."""
    embeddings, phrases = F.normalize(random(3, 8, CELLS, CELLS), dim=1), F.normalize(random(3, 8, seed=1), dim=1)
    embeddings[1, :, 0], embeddings[1, :, 3] = phrases[1][:, None], -phrases[1][:, None]
    embeddings[2, :, :, 3] = phrases[2][:, None]
    return embeddings, phrases


@pytest.mark.parametrize(("threshold", "steepness"), [(0.7, 12.0), (0.4, 3.0)])
def test_targets_equal_loops_over_cells(threshold, steepness):
    embeddings, phrases = teacher()
    targets = pseudo_masks(
        [embeddings], phrases, each_its_own(phrases), padded(), threshold=threshold, steepness=steepness
    )
    expected = hand_targets(embeddings, phrases, padded(), threshold, steepness)
    np.testing.assert_allclose(targets, expected, atol=1e-5)
    assert (targets[~padded()] == 0).all()
    assert targets.dtype == torch.float32


def test_what_lies_on_padding_changes_no_target():
    embeddings, phrases = teacher()
    settings = {"threshold": 0.7, "steepness": 12.0}
    before = pseudo_masks([embeddings], phrases, each_its_own(phrases), padded(), **settings)
    embeddings[1, :, [0, 3]] = F.normalize(random(8, 2, CELLS, seed=5), dim=0)
    embeddings[2, :, :, 3] = F.normalize(random(8, CELLS, seed=6), dim=0)
    assert torch.equal(before, pseudo_masks([embeddings], phrases, each_its_own(phrases), padded(), **settings))


def test_a_target_is_one_half_at_the_threshold_and_follows_the_image_to_its_border():
    """A picture that fits alike in all of its lower half does so next to the padding below it as well."""
    phrase = torch.tensor([[1.0, 0]])
    embeddings = torch.zeros(1, 2, CELLS, CELLS)
    embeddings[0, 1, :2] = embeddings[0, 0, 2:] = 1
    valid = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    valid[0, 12:] = False
    targets = pseudo_masks([embeddings], phrase, each_its_own(phrase), valid, threshold=0.5, steepness=10.0)
    torch.testing.assert_close(targets[0, 10:12], torch.full((2, SIZE), sigmoid(5)))
    assert (targets[0, 7].mean() + targets[0, 8].mean()).item() == pytest.approx(1, abs=1e-5)  # either side of it


def test_targets_have_no_gradient():
    embeddings, phrases = teacher()
    embeddings, phrases = embeddings.requires_grad_(), phrases.requires_grad_()
    assert not pseudo_masks(
        [embeddings], phrases, each_its_own(phrases), padded(), threshold=0.7, steepness=12.0
    ).requires_grad


@pytest.mark.parametrize("threshold", [0.0, 1.0, -0.1, 70.0])
def test_a_threshold_that_nothing_or_all_exceeds_is_refused(threshold):
    with pytest.raises(InputError, match=rf"weak\.threshold is {threshold}: give a share between 0 and 1"):
        WeakConfig(threshold=threshold)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steepness": 0.0}, r"losses\.weak\.steepness is 0\.0: give a number above 0"),
        ({"teacher_sizes": (448, 100)}, r"losses\.weak\.teacher_sizes is \[448, 100\]: give positive multiples of 32"),
        ({"teacher_sizes": (0,)}, r"losses\.weak\.teacher_sizes is \[0\]"),
        ({"colour_weight": -1.0}, r"losses\.weak\.colour_weight is -1\.0: give 0 or more"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        WeakConfig(**settings)


def hand_affinity_loss(logits: Tensor, colours: Tensor, valid: Tensor) -> float:
    """Over every pair of cells of a map, taking those that are neighbours, alike and on the image."""
    total, pairs = 0.0, 0
    size = logits.shape[-1]
    for one, look, kept in zip(logits.double().tolist(), colours.tolist(), valid.tolist(), strict=True):
        cells = list(itertools.product(range(size), range(size)))
        for (a, b), (c, d) in itertools.product(cells, cells):
            difference = sum(abs(channel[a][b] - channel[c][d]) for channel in look)
            if (
                (abs(c - a), abs(d - b)) in {(0, 1), (1, 0), (0, 2), (2, 0)}
                and kept[a][b]
                and kept[c][d]
                and difference < 0.1
            ):
                first, second = sigmoid(one[a][b]), sigmoid(one[c][d])
                total -= math.log(first * second + (1 - first) * (1 - second))
                pairs += 1
    assert pairs
    return total / pairs


def affinity_loss(logits: Tensor, colours: Tensor, valid: Tensor) -> Tensor:
    return pairwise_affinity_loss(logits, alike_neighbours(colours, valid))


def coloured(size: int = 7) -> tuple[Tensor, Tensor]:
    """(colours, valid) of two images, in few colours, so that some neighbours are alike and others not."""
    generator = torch.Generator().manual_seed(0)
    palette = torch.tensor([0.2, 0.23, 0.27, 0.9])[:, None].repeat(1, 3)  # the first two are alike, no others
    colours = palette[torch.randint(4, (2, size, size), generator=generator)].permute(0, 3, 1, 2)
    valid = torch.ones(2, size, size, dtype=torch.bool)
    valid[0, :2] = valid[0, 5:] = False
    return colours, valid


def test_affinity_loss_equals_a_loop_over_pairs_of_cells():
    colours, valid = coloured()
    logits = 2 * random(2, 7, 7)
    expected = hand_affinity_loss(logits, colours, valid)
    assert affinity_loss(logits, colours, valid).item() == pytest.approx(expected, rel=1e-5)


def test_padding_has_no_part_in_the_affinity_loss():
    colours, valid = coloured()
    logits = random(2, 7, 7).requires_grad_()
    affinity_loss(logits, colours, valid).backward()
    assert (logits.grad[~valid] == 0).all() and logits.grad[valid].abs().sum() > 0


def test_neighbours_of_one_colour_draw_each_other_along():
    """On an edge between two colours: what is undecided follows its own colour, not its neighbour over the edge."""
    colours = torch.zeros(1, 3, 1, 6)
    colours[..., 3:] = 1
    logits = torch.tensor([[[4.0, 4, 0, 0, -4, -4]]]).requires_grad_()
    valid = torch.ones(1, 1, 6, dtype=torch.bool)
    loss = affinity_loss(logits, colours, valid)
    loss.backward()
    assert logits.grad[0, 0, 2] < 0 < logits.grad[0, 0, 3]
    assert affinity_loss(logits.detach() - logits.grad, colours, valid) < loss


def test_an_image_without_two_cells_alike_costs_nothing():
    colours = torch.rand(1, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 100
    logits = random(1, 3, 3).requires_grad_()
    loss = affinity_loss(logits, colours, torch.ones(1, 3, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


@pytest.mark.parametrize("signs", list(itertools.product([-1e4, 1e4], repeat=2)))
def test_extreme_logits_stay_finite(signs):
    colours, valid = coloured(6)
    logits = torch.full((2, 6, 6), signs[0])
    logits[:, ::2] = signs[1]
    logits.requires_grad_()
    value = affinity_loss(logits, torch.zeros_like(colours), valid)
    value.backward()
    assert value.isfinite() and logits.grad.isfinite().all()
