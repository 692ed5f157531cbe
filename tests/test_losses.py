import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from grounding.losses import box_masks, mask_loss, pool_regions, region_phrase_contrast


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


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


def mask_example() -> tuple[Tensor, Tensor, Tensor]:
    """(logits, masks, valid) of three phrases, two of them with padding of different size."""
    masks = box_masks(torch.tensor([[3.0, 5, 20, 18], [8, 8, 24, 12], [0, 0, 32, 32]]), 8, 4)
    valid = torch.ones(3, 8, 8, dtype=torch.bool)
    valid[0, :1] = valid[0, 6:] = False
    valid[1, :, :5] = False
    return 2 * random(3, 8, 8), masks, valid


def test_mask_loss_equals_loops_over_valid_cells():
    logits, masks, valid = mask_example()
    assert mask_loss(logits, masks, valid).item() == pytest.approx(hand_mask_loss(logits, masks, valid), rel=1e-5)


def test_padding_has_no_part_in_the_mask_loss():
    logits, masks, valid = mask_example()
    logits.requires_grad_()
    loss = mask_loss(logits, masks, valid)
    loss.backward()
    assert (logits.grad[~valid] == 0).all() and (logits.grad[valid] != 0).all()
    for value in (-1e4, 1e4):
        changed = mask_loss(logits.detach().masked_fill(~valid, value), masks.masked_fill(~valid, 1.0), valid)
        assert changed.item() == loss.item()


def test_a_perfect_heatmap_costs_nothing_and_its_opposite_much():
    _, masks, valid = mask_example()
    masks = masks.round()
    assert mask_loss(40 * (2 * masks - 1), masks, valid).item() == pytest.approx(0, abs=1e-5)
    assert mask_loss(-40 * (2 * masks - 1), masks, valid).item() > 10


def test_pooled_regions_equal_a_loop_over_cells():
    embeddings, stride = F.normalize(random(2, 6, 5, 5), dim=1), 16
    boxes = [[0.0, 0, 80, 80], [17, 30, 40.5, 61], [3, 3, 9, 8], [70, 0, 80, 33]]
    image_index = [1, 0, 1, 0]
    pooled = pool_regions(embeddings, torch.tensor(boxes), torch.tensor(image_index), stride)
    for row, box, image in zip(pooled, boxes, image_index, strict=True):
        total = np.zeros(6)
        for i in range(5):
            for j in range(5):
                width = max(0, min(box[2], (j + 1) * stride) - max(box[0], j * stride))
                height = max(0, min(box[3], (i + 1) * stride) - max(box[1], i * stride))
                total += width * height * embeddings[image, :, i, j].numpy()
        np.testing.assert_allclose(row, total / np.linalg.norm(total), atol=1e-5)


def test_region_without_area_pools_to_zeros():
    pooled = pool_regions(random(1, 4, 3, 3), torch.tensor([[5.0, 5, 5, 9]]), torch.tensor([0]), 8)
    assert pooled.tolist() == [[0, 0, 0, 0]]


def hand_contrast(regions: Tensor, phrases: Tensor, ids: list[int], temperature: float) -> float:
    """Both directions by loops: each row against its own and every row of another region."""
    total = 0.0
    for i in range(len(ids)):
        others = [j for j in range(len(ids)) if ids[j] != ids[i]]
        own = float(phrases[i] @ regions[i]) / temperature
        for pair in ([phrases[i] @ regions[j] for j in others], [phrases[j] @ regions[i] for j in others]):
            total += math.log(math.exp(own) + sum(math.exp(float(value) / temperature) for value in pair)) - own
    return total / (2 * len(ids))


@pytest.mark.parametrize("ids", [[0, 1, 2, 3, 4], [7, 3, 7, 9, 7], [5, 5, 2, 2, 2]])
@pytest.mark.parametrize("temperature", [0.07, 0.5])
def test_contrast_equals_loops(ids, temperature):
    regions, phrases = F.normalize(random(5, 8), dim=1), F.normalize(random(5, 8, seed=1), dim=1)
    loss = region_phrase_contrast(regions, phrases, torch.tensor(ids), temperature)
    assert loss.item() == pytest.approx(hand_contrast(regions, phrases, ids, temperature), rel=1e-5)
    if temperature == 0.07:
        assert region_phrase_contrast(regions, phrases, torch.tensor(ids)).item() == loss.item()


def test_phrases_of_one_region_are_never_negatives_and_other_regions_always():
    ids = torch.tensor([4, 6, 4, 8, 6])  # all of one image: the loss is not told, so it can leave none of them out
    regions = random(5, 5).requires_grad_()
    # With unit vectors as phrases, regions[j, i] is the similarity of phrase i with region j and nothing else.
    region_phrase_contrast(regions, torch.eye(5), ids).backward()
    same = ids[:, None] == ids[None, :]
    own = torch.eye(5, dtype=torch.bool)
    assert (regions.grad[same & ~own] == 0).all()
    assert (regions.grad[own] < 0).all() and (regions.grad[~same] > 0).all()


@pytest.mark.parametrize("ids", [[3], [3, 3, 3]])
def test_without_another_region_there_is_nothing_to_contrast(ids):
    regions = random(len(ids), 4).requires_grad_()
    loss = region_phrase_contrast(regions, random(len(ids), 4, seed=1), torch.tensor(ids))
    loss.backward()
    assert loss.item() == 0 and (regions.grad == 0).all()
