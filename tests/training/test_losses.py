"""Every loss against loops over cells, rows, positions and pairs; of several processes: test_training_processes.py."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.data.supervision import box_masks
from grounding.training.contrast import (
    MAX_SCALE,
    TEMPERATURE,
    ImagePhraseContrast,
    ImagesAndPhrases,
    Pairs,
    RegionPhraseContrast,
)
from grounding.training.losses import embedding_distance, mask_loss

EMBED_DIM, SHARPNESS = 8, 12.0
# Region 11 has two phrases, 21 one in the words of the first of these, and 32 one in the words of region 12's.
REGION_IDS = [11, 11, 12, 21, 22, 31, 32]
REGION_WORDS = [0, 1, 2, 0, 3, 4, 2]  # equal numbers are equal words
# Image 7 has phrases 0 and 1, image 8 has 2 (in the words of 0) and 3, image 9 has 4.
IMAGE_IDS = [7, 8, 9]
ABOUT = [7, 7, 8, 8, 9]
WORDS = [0, 1, 0, 2, 3]
Embedded = TypeVar("Embedded", Pairs, ImagesAndPhrases)


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=1)


def pairs() -> Pairs:
    regions = unit(len(REGION_IDS), EMBED_DIM)
    regions[1] = regions[0]  # of one region, in two phrases
    return Pairs(regions, unit(5, EMBED_DIM, seed=1)[REGION_WORDS], torch.tensor(REGION_IDS))


def images() -> ImagesAndPhrases:
    valid = torch.ones(3, 3, 3, dtype=torch.bool)
    valid[1, 0] = valid[2, :, 2] = False
    unadapted = unit(4, EMBED_DIM, seed=1)[WORDS]
    return ImagesAndPhrases(
        regions=unit(3, EMBED_DIM, 3, 3), valid=valid,
        phrases=F.normalize(unadapted + 0.3 * unit(4, EMBED_DIM, seed=2)[WORDS], dim=1), unadapted=unadapted,
        image_ids=torch.tensor(IMAGE_IDS), about=torch.tensor(ABOUT),
    )  # fmt: skip


def leaves(own: Embedded) -> Embedded:
    """A copy whose embeddings collect gradients."""
    return replace(own, regions=own.regions.clone().requires_grad_(), phrases=own.phrases.clone().requires_grad_())


def likelihood(scores: dict[int, Tensor], positives: list[int]) -> Tensor:
    """-log softmax, the mean over the positives."""
    denominator = torch.stack(list(scores.values())).logsumexp(0)
    return -sum(scores[each] - denominator for each in positives) / len(positives)


def of_pairs(own: Pairs, scale: float = 1 / TEMPERATURE) -> Tensor:
    """Row by row and term by term, in double precision."""
    regions, phrases, losses = own.regions.double(), own.phrases.double(), []
    for i, region in enumerate(REGION_IDS):
        positives = [j for j, other in enumerate(REGION_IDS) if other == region]
        among = [j for j in range(len(REGION_IDS)) if j in positives or REGION_WORDS[j] != REGION_WORDS[i]]
        for asked, answers in ((regions, phrases), (phrases, regions)):
            losses.append(likelihood({j: scale * (asked[i] * answers[j]).sum() for j in among}, positives))
    return sum(losses) / len(losses)


def soft_maximum(regions: Tensor, valid: Tensor, phrase: Tensor) -> Tensor:
    """Of the cosines of one phrase (E,) with the valid positions of one image (E, h, w)."""
    cosines = [(regions[:, i, j] * phrase).sum() for i, j in valid.nonzero().tolist()]
    return (sum((SHARPNESS * each).exp() for each in cosines) / len(cosines)).log() / SHARPNESS


def of_images(own: ImagesAndPhrases) -> Tensor:
    """Phrase by phrase, in double precision."""
    regions = own.regions.double()
    scores = [[soft_maximum(*each, phrase) / TEMPERATURE for each in zip(regions, own.valid, strict=True)]
              for phrase in own.phrases.double()]  # fmt: skip
    losses = []
    for p, about in enumerate(ABOUT):
        mine = IMAGE_IDS.index(about)
        described = {ABOUT[q] for q in range(len(ABOUT)) if WORDS[q] == WORDS[p]}
        among = [b for b in range(3) if b == mine or IMAGE_IDS[b] not in described]
        losses.append(likelihood({b: scores[p][b] for b in among}, [mine]))
        others = [q for q in range(len(ABOUT)) if q == p or (ABOUT[q] != about and WORDS[q] != WORDS[p])]
        losses.append(likelihood({q: scores[q][mine] for q in others}, [p]))
    return sum(losses) / len(losses)


@pytest.mark.parametrize(
    ("contrast", "given", "by_hand"),
    [
        (RegionPhraseContrast(), pairs(), of_pairs),
        (lambda own: ImagePhraseContrast()(own, torch.tensor(math.log(SHARPNESS))), images(), of_images),
    ],
    ids=["regions", "images"],
)
def test_equals_loops(contrast: Callable[[Any], Tensor], given: Any, by_hand: Callable[[Any], Tensor]) -> None:
    own, hand = leaves(given), leaves(given)
    loss, expected = contrast(own), by_hand(hand)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(own.regions.grad, hand.regions.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(own.phrases.grad, hand.phrases.grad, rtol=1e-4, atol=1e-6)


def test_the_temperature_is_capped_and_can_come_back() -> None:
    loss = RegionPhraseContrast()
    torch.nn.init.constant_(loss.log_scale, 10.0)
    value = loss(pairs())
    assert value.item() == pytest.approx(of_pairs(pairs(), MAX_SCALE).item(), rel=1e-4)
    value.backward()
    assert loss.log_scale.grad.item() > 0  # random embeddings are as often wrong as right: it should be gentler
    torch.optim.SGD(loss.parameters(), lr=0.1 / loss.log_scale.grad.item()).step()
    assert loss(pairs()).item() < 0.95 * value.item()


def test_the_sharpness_is_capped_and_learned() -> None:
    log_sharpness = torch.nn.Parameter(torch.tensor(20.0))
    loss = ImagePhraseContrast()(images(), log_sharpness)
    loss.backward()
    assert loss.isfinite() and log_sharpness.grad != 0
    assert log_sharpness.item() == pytest.approx(math.log(MAX_SCALE))


def test_an_image_that_comes_twice_is_no_negative_of_itself() -> None:
    """As in the last batch of an epoch, which is filled up."""
    own = images()
    twice = replace(
        own, regions=own.regions[[0, 0]], valid=own.valid[[0, 0]], image_ids=own.image_ids[[0, 0]],
        phrases=own.phrases[:2], unadapted=own.unadapted[:2], about=own.about[:2],
    )  # fmt: skip
    regions = twice.regions.clone().requires_grad_()
    ImagePhraseContrast()(replace(twice, regions=regions), torch.tensor(2.0)).backward()
    assert regions.grad.abs().max() < 1e-6


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
