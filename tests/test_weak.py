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
from grounding.weak import WeakConfig, background_loss, colour_loss, mirror_loss, similarity_targets

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
    targets = similarity_targets(
        [embeddings], phrases, each_its_own(phrases), padded(), threshold=threshold, steepness=steepness
    )
    expected = hand_targets(embeddings, phrases, padded(), threshold, steepness)
    np.testing.assert_allclose(targets, expected, atol=1e-5)
    assert (targets[~padded()] == 0).all()
    assert targets.dtype == torch.float32


def test_what_lies_on_padding_changes_no_target():
    embeddings, phrases = teacher()
    settings = {"threshold": 0.7, "steepness": 12.0}
    before = similarity_targets([embeddings], phrases, each_its_own(phrases), padded(), **settings)
    embeddings[1, :, [0, 3]] = F.normalize(random(8, 2, CELLS, seed=5), dim=0)
    embeddings[2, :, :, 3] = F.normalize(random(8, CELLS, seed=6), dim=0)
    assert torch.equal(before, similarity_targets([embeddings], phrases, each_its_own(phrases), padded(), **settings))


def test_a_target_is_one_half_at_the_threshold_and_follows_the_image_to_its_border():
    """A picture that fits alike in all of its lower half does so next to the padding below it as well."""
    phrase = torch.tensor([[1.0, 0]])
    embeddings = torch.zeros(1, 2, CELLS, CELLS)
    embeddings[0, 1, :2] = embeddings[0, 0, 2:] = 1
    valid = torch.ones(1, SIZE, SIZE, dtype=torch.bool)
    valid[0, 12:] = False
    targets = similarity_targets([embeddings], phrase, each_its_own(phrase), valid, threshold=0.5, steepness=10.0)
    torch.testing.assert_close(targets[0, 10:12], torch.full((2, SIZE), sigmoid(5)))
    assert (targets[0, 7].mean() + targets[0, 8].mean()).item() == pytest.approx(1, abs=1e-5)  # either side of it


def test_targets_have_no_gradient():
    embeddings, phrases = teacher()
    embeddings, phrases = embeddings.requires_grad_(), phrases.requires_grad_()
    assert not similarity_targets(
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
        ({"mirror_weight": -1.0}, r"losses\.weak\.mirror_weight is -1\.0: give 0 or more"),
    ],
)
def test_settings_without_sense_are_refused(settings, message):
    with pytest.raises(InputError, match=message):
        WeakConfig(**settings)


def test_background_loss_equals_a_loop():
    inside, outside, phrases = (F.normalize(random(5, 8, seed=seed), dim=1) for seed in range(3))
    total = 0.0
    for own, rest, phrase in zip(inside.double(), outside.double(), phrases.double(), strict=True):
        total += math.log(1 + math.exp(-1 / 0.07 * (float(own @ phrase) - float(rest @ phrase))))
    assert background_loss(inside, outside, phrases).item() == pytest.approx(total / 5, rel=1e-5)


def test_background_loss_is_not_met_by_fitting_less_on_both_sides():
    inside, outside, phrases = (random(5, 8, seed=seed).requires_grad_() for seed in range(3))
    background_loss(inside, outside, phrases).backward()
    for row in range(5):  # descending makes the inside fit better and the outside worse, by as much
        assert inside.grad[row] @ phrases[row] < 0
        torch.testing.assert_close(inside.grad[row], -outside.grad[row])


def hand_colour_loss(logits: Tensor, colours: Tensor, valid: Tensor) -> float:
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


def coloured(size: int = 7) -> tuple[Tensor, Tensor]:
    """(colours, valid) of two images, in few colours, so that some neighbours are alike and others not."""
    generator = torch.Generator().manual_seed(0)
    palette = torch.tensor([0.2, 0.23, 0.27, 0.9])[:, None].repeat(1, 3)  # the first two are alike, no others
    colours = palette[torch.randint(4, (2, size, size), generator=generator)].permute(0, 3, 1, 2)
    valid = torch.ones(2, size, size, dtype=torch.bool)
    valid[0, :2] = valid[0, 5:] = False
    return colours, valid


def test_colour_loss_equals_a_loop_over_pairs_of_cells():
    colours, valid = coloured()
    logits = 2 * random(2, 7, 7)
    expected = hand_colour_loss(logits, colours, valid)
    assert colour_loss(logits, colours, valid).item() == pytest.approx(expected, rel=1e-5)


def test_padding_has_no_part_in_the_colour_loss():
    colours, valid = coloured()
    logits = random(2, 7, 7).requires_grad_()
    colour_loss(logits, colours, valid).backward()
    assert (logits.grad[~valid] == 0).all() and logits.grad[valid].abs().sum() > 0


def test_neighbours_of_one_colour_draw_each_other_along():
    """On an edge between two colours: what is undecided follows its own colour, not its neighbour over the edge."""
    colours = torch.zeros(1, 3, 1, 6)
    colours[..., 3:] = 1
    logits = torch.tensor([[[4.0, 4, 0, 0, -4, -4]]]).requires_grad_()
    valid = torch.ones(1, 1, 6, dtype=torch.bool)
    loss = colour_loss(logits, colours, valid)
    loss.backward()
    assert logits.grad[0, 0, 2] < 0 < logits.grad[0, 0, 3]
    assert colour_loss(logits.detach() - logits.grad, colours, valid) < loss


def test_an_image_without_two_cells_alike_costs_nothing():
    colours = torch.rand(1, 3, 3, 3, generator=torch.Generator().manual_seed(0)) * 100
    logits = random(1, 3, 3).requires_grad_()
    loss = colour_loss(logits, colours, torch.ones(1, 3, 3, dtype=torch.bool))
    loss.backward()
    assert loss.item() == 0 and (logits.grad == 0).all()


def test_mirror_loss_equals_a_loop():
    logits, mirrored, valid = random(3, 6, 6), random(3, 6, 6, seed=1), torch.ones(3, 6, 6, dtype=torch.bool)
    valid[0, :2], valid[1, :, 4:] = False, False
    total, cells = 0.0, 0
    for one, other, kept in zip(logits.tolist(), mirrored.tolist(), valid.tolist(), strict=True):
        for i, j in itertools.product(range(6), range(6)):
            if kept[i][j]:
                total += (sigmoid(one[i][j]) - sigmoid(other[i][5 - j])) ** 2
                cells += 1
    assert mirror_loss(logits, mirrored, valid).item() == pytest.approx(total / cells, rel=1e-5)
    assert mirror_loss(logits, logits.flip(-1), valid).item() == 0


def test_mirrored_heatmaps_come_nearer_to_each_other():
    logits, mirrored = torch.tensor([[[2.0, -2]]], requires_grad=True), torch.tensor([[[1.0, 0]]], requires_grad=True)
    valid = torch.ones(1, 1, 2, dtype=torch.bool)
    loss = mirror_loss(logits, mirrored, valid)
    loss.backward()
    assert logits.grad[0, 0, 0] > 0 > logits.grad[0, 0, 1]  # 2 should be 0, -2 should be 1
    assert mirrored.grad[0, 0, 0] > 0 > mirrored.grad[0, 0, 1]
    assert mirror_loss(logits.detach() - logits.grad, mirrored.detach() - mirrored.grad, valid) < loss


@pytest.mark.parametrize("signs", list(itertools.product([-1e4, 1e4], repeat=2)))
def test_extreme_logits_stay_finite(signs):
    colours, valid = coloured(6)
    logits = torch.full((2, 6, 6), signs[0])
    logits[:, ::2] = signs[1]
    for loss in (
        lambda x: colour_loss(x, torch.zeros_like(colours), valid),
        lambda x: mirror_loss(x, -x, valid),
        lambda x: background_loss(x[:, 0], x[:, 1], x[:, 2]),
    ):
        asked = logits.clone().requires_grad_()
        value = loss(asked)
        value.backward()
        assert value.isfinite() and asked.grad.isfinite().all()
