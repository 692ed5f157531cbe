"""What a training step costs: FLOPs against numbers worked out by hand, and what follows from them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.refcocog_cost import CONFIGS, MEASURED, PEAKS, section, step_of, tower_flops
from benchmarks.rn50 import RN50
from grounding.clip.backbone import CLIP
from grounding.clip.encoder import Encoder
from grounding.methods.config import ModelConfig
from grounding.model.blocks import ModulatedBlock
from grounding.model.decoder import DecoderConfig
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from tests.scripts import ROOT
from tests.tiny_clip import loaded_tiny_clip


def small(kind: str = "convolutional", images: int = 2, output_stride: int = 16) -> TrainConfig:
    decoder = DecoderConfig(kind=kind, width=16, blocks=1, queries=2, query_dim=8)  # type: ignore[arg-type]
    return TrainConfig(
        Path("data"), Path("run"), images_per_batch=images, phrases_per_image=3,
        model=ModelConfig(model_size=64, output_stride=output_stride, decoder=decoder),
    )  # fmt: skip


def test_flops_of_a_decoder_block_forward_and_twice_as_many_backward() -> None:
    width, dim, cells, phrases = 4, 6, 10 * 10, 3
    block = ModulatedBlock(width, dim, kernel_size=7)
    x, summaries = torch.ones(phrases, width, 10, 10), torch.ones(phrases, dim)
    per_cell = width * 49 + 2 * width * 2 * width  # depthwise, expansion and projection
    with FlopCounterMode(display=False) as counter:
        block(x, summaries)
    assert counter.get_total_flops() == 2 * phrases * (cells * per_cell + dim * 2 * width)


def test_flops_of_rn50_at_224() -> None:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        CLIP(**RN50).visual(torch.zeros(1, 3, 224, 224))
    assert 5.4e9 < counter.get_total_flops() / 2 < 6.2e9


@pytest.mark.parametrize("output_stride", [16, 32])
def test_adapters_see_the_same_tower_and_cost_less(output_stride: int) -> None:
    clip = loaded_tiny_clip()
    decoder, adapters = (
        step_of(small(each, output_stride=output_stride), clip) for each in ("convolutional", "adapters")
    )
    assert decoder.tower == adapters.tower == tower_flops(
        Encoder(clip, model_size=64, output_stride=output_stride), MEASURED
    ) > 0  # fmt: skip
    assert 0 < adapters.saved < decoder.saved


def test_updates_of_the_tower_cost_its_last_stages_backward() -> None:
    """Twice their forward pass: a gradient for what comes in and one for the weights; the tower's own is the same."""
    clip = loaded_tiny_clip()
    config = small(output_stride=32)
    updated = replace(config, model=replace(config.model, decoder=replace(config.model.decoder, lora_rank=2)))
    plain, learned = step_of(config, clip), step_of(updated, clip)
    encoder = Encoder(clip, model_size=64, output_stride=32)
    stages = torch.nn.Sequential(encoder.dense.visual.layer3, encoder.dense.visual.layer4)
    with FlopCounterMode(display=False) as counter:
        stages(torch.zeros(MEASURED, encoder.dense.pyramid_channels["layer2"], 8, 8))
    assert learned.tower == plain.tower and learned.parameters > plain.parameters
    added = learned.trained - plain.trained
    assert 1.4 * counter.get_total_flops() < added < 2.6 * counter.get_total_flops()


def test_a_larger_batch_costs_in_proportion_but_for_what_stays() -> None:
    clip = loaded_tiny_clip()
    two, eight = step_of(small(images=2), clip), step_of(small(images=8), clip)
    assert eight.constant == two.constant > 0
    assert all(getattr(eight, name) == 4 * getattr(two, name) > 0 for name in ("tower", "trained", "saved"))


def test_the_tables_follow_from_the_steps() -> None:
    clip = loaded_tiny_clip()
    config = small(images=4)
    text = section({"a": config}, clip)
    step = step_of(config, clip)
    rate = min(PEAKS.values()) * 1e12 * 0.05 / (step.tower + step.trained) * 4
    assert f"| {rate:,.0f} to {4 * rate:,.0f} " in text
    assert sum(line.startswith("| a ") for line in text.splitlines()) == 1 + len(PEAKS)


@pytest.mark.parametrize("name", CONFIGS)
def test_it_is_about_rn50_alone(name: str) -> None:
    config = parse(TrainConfig, "train", ["--config", str(ROOT / "configs" / f"{name}.yaml")])
    assert config.model.clip == "RN50" and config.mixed_precision == "bf16"
