"""The contrast of images and phrases against loops over positions, images and phrases; several processes equal one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor

from grounding.training.contrast import MAX_SCALE, TEMPERATURE, ImagePhraseContrast, ImagesAndPhrases

# Image 7 has phrases 0 and 1, image 8 has 2 (in the words of 0) and 3, image 9 has 4.
IMAGE_IDS = [7, 8, 9]
ABOUT = [7, 7, 8, 8, 9]
WORDS = [0, 1, 0, 2, 3]
EMBED_DIM, SIZE = 6, 3
SHARPNESS = 12.0


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


def by_hand(own: ImagesAndPhrases, rows: slice = slice(None)) -> Tensor:
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


def test_equals_loops() -> None:
    own, hand = leaves(example()), leaves(example())
    log_sharpness = torch.tensor(math.log(SHARPNESS), requires_grad=True)
    loss = ImagePhraseContrast()(own, log_sharpness)
    expected = by_hand(hand)
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
    losses = [by_hand(hand, rows) for rows in (slice(0, 4), slice(4, 5))]
    for each, expected in zip(found, losses, strict=True):
        assert each["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    torch.stack(losses).sum().backward()
    for name, gradient in (("regions", hand.regions.grad), ("phrases", hand.phrases.grad)):
        torch.testing.assert_close(torch.cat([each[name] for each in found]), gradient, rtol=1e-4, atol=1e-6)
