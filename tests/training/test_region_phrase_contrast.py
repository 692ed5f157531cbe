"""The contrast of regions and phrases against loops over rows; several processes equal one."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
import torch.distributed
import torch.multiprocessing
import torch.nn.functional as F
from torch import Tensor

from grounding.training.contrast import MAX_SCALE, TEMPERATURE, Pairs, RegionPhraseContrast

# Region 11 has two phrases, 21 one in the words of the first of these, and 32 one in the words of region 12's.
REGION_IDS = [11, 11, 12, 21, 22, 31, 32]
WORDS = [0, 1, 2, 0, 3, 4, 2]  # equal numbers are equal words
EMBED_DIM = 8


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(random(*shape, seed=seed), dim=-1)


def example() -> Pairs:
    regions = unit(len(REGION_IDS), EMBED_DIM)
    regions[1] = regions[0]  # of one region, in two phrases
    phrases = unit(max(WORDS) + 1, EMBED_DIM, seed=1)[WORDS]
    return Pairs(regions, phrases, torch.tensor(REGION_IDS))


def part(pairs: Pairs, rows: slice) -> Pairs:
    return Pairs(*(value[rows] for value in vars(pairs).values()))


def kind(i: int, j: int) -> str:
    """What pair j is to pair i, read off the lists above."""
    if REGION_IDS[i] == REGION_IDS[j]:
        return "positive"
    return "left out" if WORDS[i] == WORDS[j] else "negative"


def hand_contrast(pairs: Pairs, scale: float | Tensor = 1 / TEMPERATURE, *, rows: slice = slice(None)) -> Tensor:
    """Row by row and term by term, in double precision; `rows` are a process's own."""
    regions, phrases = pairs.regions.double(), pairs.phrases.double()
    losses = []
    for i in range(len(regions))[rows]:
        among = {j: kind(i, j) for j in range(len(regions))}
        for asked, answers in ((regions, phrases), (phrases, regions)):
            exponents = {j: scale * (asked[i] * answers[j]).sum() for j in among if among[j] != "left out"}
            denominator = sum(exponent.exp() for exponent in exponents.values())
            positives = [j for j in among if among[j] == "positive"]
            losses.append(-sum(exponents[j] - denominator.log() for j in positives) / len(positives))
    return sum(losses) / len(losses)


def leaves(pairs: Pairs) -> Pairs:
    """A copy whose embeddings collect gradients."""
    return replace(
        pairs, regions=pairs.regions.clone().requires_grad_(), phrases=pairs.phrases.clone().requires_grad_()
    )


def test_equals_loops():
    pairs, by_hand = leaves(example()), leaves(example())
    loss = RegionPhraseContrast()(pairs)
    expected = hand_contrast(by_hand)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(pairs.regions.grad, by_hand.regions.grad, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(pairs.phrases.grad, by_hand.phrases.grad, rtol=1e-4, atol=1e-6)


def test_the_example_has_every_kind_of_pair():
    """So that the loops above compare them all; each kind here by hand, not by the rule."""
    assert kind(0, 1) == "positive"  # two phrases of one region
    assert kind(0, 2) == "negative"  # two regions of one image
    assert kind(0, 3) == "left out" and kind(2, 6) == "left out"  # one wording in two images
    assert kind(4, 6) == "negative" and kind(1, 3) == "negative"  # two images


def test_the_temperature_is_capped_and_can_come_back():
    loss = RegionPhraseContrast()
    torch.nn.init.constant_(loss.log_scale, 10.0)
    value = loss(example())
    assert value.item() == pytest.approx(hand_contrast(example(), MAX_SCALE).item(), rel=1e-4)
    value.backward()
    assert loss.log_scale.grad.item() > 0  # random embeddings are as often wrong as right: it should be gentler
    torch.optim.SGD(loss.parameters(), lr=0.1 / loss.log_scale.grad.item()).step()
    assert loss(example()).item() < 0.95 * value.item()


# Of each process: its rows of the example. Unequal, and an image and a region lie across the border.
ROWS_OF = (slice(0, 1), slice(1, 7))


def one_of_two(rank: int, folder: str) -> None:
    """A process: its loss, and what of both processes' gradients reaches its embeddings."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    own, loss = leaves(part(example(), ROWS_OF[rank])), RegionPhraseContrast()
    value = loss(own)
    value.backward()
    with torch.no_grad():
        again = loss(own)
    results = {"loss": value, "again": again, "scale": loss.log_scale.grad}
    results |= {"regions": own.regions.grad, "phrases": own.phrases.grad}
    torch.save({name: each.detach() for name, each in results.items()}, f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_processes_together_equal_one(tmp_path):
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path),), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    pairs, losses = leaves(example()), []
    for rank, rows in enumerate(ROWS_OF):
        log_scale = torch.tensor(-math.log(TEMPERATURE), dtype=torch.double, requires_grad=True)
        losses.append(hand_contrast(pairs, log_scale.exp(), rows=rows))
        assert found[rank]["loss"].item() == pytest.approx(losses[-1].item(), rel=1e-5)
        assert found[rank]["again"] == found[rank]["loss"]  # without gradients, as in validation
        (by_scale,) = torch.autograd.grad(losses[-1], log_scale, retain_graph=True)
        assert found[rank]["scale"].item() == pytest.approx(by_scale.item(), rel=1e-4)
    torch.stack(losses).sum().backward()
    for rank, rows in enumerate(ROWS_OF):
        torch.testing.assert_close(found[rank]["regions"], pairs.regions.grad[rows], rtol=1e-4, atol=1e-6)
        torch.testing.assert_close(found[rank]["phrases"], pairs.phrases.grad[rows], rtol=1e-4, atol=1e-6)
