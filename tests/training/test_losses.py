"""The losses against loops over cells, positions, images and phrases; several processes equal one."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor

from grounding.data.supervision import box_masks
from grounding.training.losses import (
    MAX_SCALE,
    TEMPERATURE,
    ImagePhraseContrast,
    ImagesAndPhrases,
    embedding_distance,
    mask_loss,
)

# Image 7 has phrases 0 and 1, image 8 has 2 (in the words of 0) and 3, image 9 has 4.
IMAGE_IDS = [7, 8, 9]
ABOUT = [7, 7, 8, 8, 9]
WORDS = [0, 1, 0, 2, 3]
EMBED_DIM, SIZE = 6, 3
SHARPNESS = 12.0


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
    torch.manual_seed(0)
    return 2 * torch.randn(3, 8, 8), masks, valid


def test_mask_loss_equals_loops_over_valid_cells():
    logits, masks, valid = mask_example()
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


def unit(*shape: int, seed: int, dim: int) -> Tensor:
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=dim)


def example() -> ImagesAndPhrases:
    valid = torch.ones(len(IMAGE_IDS), SIZE, SIZE, dtype=torch.bool)
    valid[1, 0] = valid[2, :, 2] = False
    unadapted = unit(max(WORDS) + 1, EMBED_DIM, seed=1, dim=1)[WORDS]
    return ImagesAndPhrases(
        regions=unit(len(IMAGE_IDS), EMBED_DIM, SIZE, SIZE, seed=0, dim=1), valid=valid,
        phrases=F.normalize(unadapted + 0.3 * unit(max(WORDS) + 1, EMBED_DIM, seed=2, dim=1)[WORDS], dim=1),
        unadapted=unadapted, image_ids=torch.tensor(IMAGE_IDS), about=torch.tensor(ABOUT),
    )  # fmt: skip


def leaves(own: ImagesAndPhrases) -> ImagesAndPhrases:
    """A copy whose adapted embeddings collect gradients."""
    return replace(own, regions=own.regions.clone().requires_grad_(), phrases=own.phrases.clone().requires_grad_())


def soft_maximum(regions: Tensor, valid: Tensor, phrase: Tensor, sharpness: float) -> Tensor:
    """Of the cosines of one phrase (E,) with the valid positions of one image (E, h, w)."""
    cosines = [(regions[:, i, j] * phrase).sum() for i, j in valid.nonzero().tolist()]
    return (sum((sharpness * each).exp() for each in cosines) / len(cosines)).log() / sharpness


def hand_contrast(own: ImagesAndPhrases, rows: slice = slice(None)) -> Tensor:
    """Phrase by phrase, in double precision; `rows` are a process's own phrases."""
    regions, phrases = own.regions.double(), own.phrases.double()
    scores = [
        [soft_maximum(regions[b], own.valid[b], phrase, SHARPNESS) / TEMPERATURE for b in range(len(IMAGE_IDS))]
        for phrase in phrases
    ]
    losses = []
    for p in range(len(ABOUT))[rows]:
        mine = IMAGE_IDS.index(ABOUT[p])
        described = {IMAGE_IDS.index(ABOUT[q]) for q in range(len(ABOUT)) if WORDS[q] == WORDS[p]}
        images = [b for b in range(len(IMAGE_IDS)) if b == mine or b not in described]
        losses.append(torch.stack([scores[p][b] for b in images]).logsumexp(0) - scores[p][mine])
        others = [q for q in range(len(ABOUT)) if q == p or (ABOUT[q] != ABOUT[p] and WORDS[q] != WORDS[p])]
        losses.append(torch.stack([scores[q][mine] for q in others]).logsumexp(0) - scores[p][mine])
    return sum(losses) / len(losses)


def test_contrast_equals_loops() -> None:
    own, hand = leaves(example()), leaves(example())
    log_sharpness = torch.tensor(math.log(SHARPNESS), requires_grad=True)
    loss = ImagePhraseContrast()(own, log_sharpness)
    expected = hand_contrast(hand)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(own.regions.grad, hand.regions.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(own.phrases.grad, hand.phrases.grad, rtol=1e-4, atol=1e-6)
    assert log_sharpness.grad != 0


def test_an_image_that_comes_twice_is_no_negative_of_itself() -> None:
    """As in the last batch of an epoch, which is filled up."""
    own = example()
    twice = replace(
        own, regions=own.regions[[0, 0]], valid=own.valid[[0, 0]], image_ids=own.image_ids[[0, 0]],
        phrases=own.phrases[:2], unadapted=own.unadapted[:2], about=own.about[:2],
    )  # fmt: skip
    regions = twice.regions.clone().requires_grad_()
    ImagePhraseContrast()(replace(twice, regions=regions), torch.tensor(2.0)).backward()
    assert regions.grad.abs().max() < 1e-6


def test_scale_and_sharpness_are_capped() -> None:
    contrast, log_sharpness = ImagePhraseContrast(), torch.nn.Parameter(torch.tensor(20.0))
    torch.nn.init.constant_(contrast.log_scale, 10.0)
    assert contrast(example(), log_sharpness).isfinite()
    assert contrast.log_scale.item() == pytest.approx(math.log(MAX_SCALE))
    assert log_sharpness.item() == pytest.approx(math.log(MAX_SCALE))


def one_of_two(rank: int, folder: str) -> None:
    """A process with images 7 and 8, or with image 9."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    images, phrases = (slice(0, 2), slice(0, 4)) if rank == 0 else (slice(2, 3), slice(4, 5))
    whole = example()
    own = leaves(ImagesAndPhrases(whole.regions[images], whole.valid[images], whole.phrases[phrases],
                                  whole.unadapted[phrases], whole.image_ids[images], whole.about[phrases]))  # fmt: skip
    loss = ImagePhraseContrast()(own, torch.tensor(math.log(SHARPNESS)))
    loss.backward()
    torch.save({"loss": loss.detach(), "regions": own.regions.grad, "phrases": own.phrases.grad}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_together_equal_one(tmp_path) -> None:
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    hand = leaves(example())
    losses = [hand_contrast(hand, rows) for rows in (slice(0, 4), slice(4, 5))]
    for each, expected in zip(found, losses, strict=True):
        assert each["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    torch.stack(losses).sum().backward()
    for name, gradient in (("regions", hand.regions.grad), ("phrases", hand.phrases.grad)):
        torch.testing.assert_close(torch.cat([each[name] for each in found]), gradient, rtol=1e-4, atol=1e-6)
