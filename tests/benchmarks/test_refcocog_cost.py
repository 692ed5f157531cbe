"""What a training step costs, and what follows from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.refcocog_cost import MEASURED, PEAKS, section, step_of, tower_flops
from grounding.clip.encoder import Encoder
from grounding.methods.config import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.training.config import TrainConfig
from tests.tiny_clip import loaded_tiny_clip


def small(kind: str = "convolutional", output_stride: int = 16) -> TrainConfig:
    decoder = DecoderConfig(kind=kind, width=16, blocks=1, queries=2, query_dim=8)  # type: ignore[arg-type]
    return TrainConfig(
        Path("data"), Path("run"), images_per_batch=4, phrases_per_image=3,
        model=ModelConfig(model_size=64, output_stride=output_stride, decoder=decoder),
    )  # fmt: skip


@pytest.mark.parametrize("output_stride", [16, 32])
def test_adapters_see_the_same_tower_and_cost_less(output_stride: int) -> None:
    clip = loaded_tiny_clip()
    decoder, adapters = (
        step_of(small(each, output_stride=output_stride), clip) for each in ("convolutional", "adapters")
    )
    whole_batch = 4 / MEASURED * tower_flops(Encoder(clip, model_size=64, output_stride=output_stride), MEASURED)
    assert decoder.tower == adapters.tower == whole_batch > 0
    assert 0 < adapters.saved < decoder.saved


def test_the_tables_follow_from_the_steps() -> None:
    clip = loaded_tiny_clip()
    config = small()
    text = section({"a": config}, clip)
    step = step_of(config, clip)
    rate = min(PEAKS.values()) * 1e12 * 0.05 / (step.tower + step.trained) * 4
    assert f"| {rate:,.0f} to {4 * rate:,.0f} " in text
    assert sum(line.startswith("| a ") for line in text.splitlines()) == 1 + len(PEAKS)
