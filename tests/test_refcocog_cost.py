"""What a training step costs: the meter against numbers worked out by hand, and fake tensors against real ones."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from clip.model import CLIP
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.gpu_cost import GPUS, IMAGES, config_cost, seconds
from benchmarks.refcocog_cost import CONFIGS
from benchmarks.rn50 import RN50
from benchmarks.step_cost import TOWER, Cost, Meter, batch_of, learner_of, step_cost
from grounding.data.download import PUBLISHED
from grounding.methods.config import ModelConfig
from grounding.model.decoder import DecoderConfig, ModulatedBlock
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.criterion import ContrastConfig, LossConfig
from grounding.training.weak import WeakConfig
from tests.tiny_clip import tiny_clip

ROOT = Path(__file__).parents[1]


def flops(cost: Cost) -> int:
    return sum(cost.flops.values())


def test_flops_of_a_convolution_by_hand() -> None:
    x, weight = torch.ones(2, 3, 8, 8, requires_grad=True), torch.ones(5, 3, 3, 3, requires_grad=True)
    with Meter([]) as meter:
        out = F.conv2d(x, weight, padding=1)
        assert flops(meter.cost) == 2 * (2 * 8 * 8) * (5 * 3 * 3 * 3)
        out.sum().backward()
    assert flops(meter.cost) == 3 * 2 * (2 * 8 * 8) * (5 * 3 * 3 * 3)


def test_flops_of_a_decoder_block_by_hand() -> None:
    width, dim, cells, phrases = 4, 6, 10 * 10, 3
    block = ModulatedBlock(width, dim, kernel_size=7)
    x, summaries = torch.ones(phrases, width, 10, 10, requires_grad=True), torch.ones(phrases, dim, requires_grad=True)
    per_cell = width * 49 + 2 * width * 2 * width  # depthwise, expansion and projection
    forward = 2 * phrases * (cells * per_cell + dim * 2 * width)
    with Meter([]) as meter:
        out = block(x, summaries)
        assert flops(meter.cost) == forward
        out.sum().backward()
    assert flops(meter.cost) == 3 * forward


def test_flops_of_rn50_at_224() -> None:
    with torch.device("meta"):
        visual = CLIP(**RN50).visual
        with Meter([]) as meter, torch.no_grad():
            visual(torch.zeros(1, 3, 224, 224))
    assert 5.4e9 < flops(meter.cost) / 2 < 6.2e9


def test_memory_alive_by_hand() -> None:
    with Meter([]) as meter:
        a = torch.zeros(100)
        b = a + 1
        del a
        c = b.view(10, 10) + 1
        d = c * 2
    del b, c, d
    assert meter.cost.alive == 3 * 400
    assert meter.cost.traffic == 400 + 3 * 800


@pytest.mark.parametrize("supervision", ["boxes", "weak", "mixed"])
@pytest.mark.parametrize("output_stride", [16, 32])
def test_fake_tensors_cost_what_real_ones_do(supervision: str, output_stride: int, tmp_path: Path) -> None:
    config = TrainConfig(
        tmp_path, tmp_path, supervision=supervision, images_per_batch=2,
        model=ModelConfig(model_size=64, output_stride=output_stride,
                          decoder=DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)),
        losses=LossConfig(contrast=ContrastConfig(weight=0.1), weak=WeakConfig(teacher_sizes=(96,))),
    )  # fmt: skip
    real = learner_of(config, tiny_clip(), fakes=None)
    expected = step_cost(real, batch_of(config, 2, fakes=None), "no")
    fakes = FakeTensorMode(allow_non_fake_inputs=True)
    fake = learner_of(config, tiny_clip().to("meta"), fakes=fakes)
    found = step_cost(fake, batch_of(config, 2, fakes=fakes), "no")
    assert found.saved == expected.saved > 0
    assert dict(found.flops) == dict(expected.flops)
    assert found.alive == pytest.approx(expected.alive, rel=0.02)
    assert all(each.grad is not None for each in real.parameters() if each.requires_grad)


def test_mixed_precision_saves_memory_and_not_work() -> None:
    half, full = (
        config_cost(parse(TrainConfig, "train", ["--config", str(ROOT / CONFIGS[0]), "--mixed_precision", each]), 2)
        for each in ("bf16", "no")
    )
    assert half.saved < full.saved and half.alive < full.alive
    assert half.flops[TOWER, False] == full.flops[TOWER, True] > 0
    assert flops(half) == flops(full)


def test_images_of_the_splits_add_up_to_what_the_download_checks() -> None:
    assert sum(IMAGES.values()) == PUBLISHED["refcocog"].expected.images
    assert set(IMAGES) == set(PUBLISHED["refcocog"].expected.sentences)


def test_seconds_by_hand() -> None:
    t4 = GPUS[0]
    cost = Cost(flops={("a", False): int(65e12), ("b", True): int(8.1e12)}, traffic=int(320e9))
    assert seconds(cost, t4, "fp16", share=1) == pytest.approx(2 / 0.40 + 1 / 0.80)
