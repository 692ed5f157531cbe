"""Weak and mixed supervision: the weights depend on no box that training may not see."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from grounding import InputError
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import images_with_boxes
from grounding.training.config import TrainConfig
from grounding.training.criterion import ContrastConfig, LossConfig
from grounding.training.train import train
from grounding.training.weak import WeakConfig
from tests.toy_data import copy_with_noise_boxes
from tests.training.runs import ALL_LOSSES, assert_killed_and_resumed_equals_uninterrupted


def weights_after(config: TrainConfig, name: str) -> dict[str, torch.Tensor]:
    """The decoder kept by a run in a folder of that name, and the last step's criterion, which has the temperature."""
    output = config.output.with_name(name)
    train(replace(config, output=output))
    last = load_file(max((output / "states").iterdir()) / "model.safetensors")
    return load_file(output / "decoder.safetensors") | {f"last.{key}": value for key, value in last.items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """To the last bit."""
    assert set(first) == set(second) and any("decoder" in name for name in first)
    return all(torch.equal(first[name], second[name]) for name in first)


def trained_on(config: TrainConfig) -> tuple[set[int], set[int]]:
    """The ids of all training images, and of those whose boxes mixed supervision uses."""
    dataset = RefCOCOg(config.data, "train", group_by="image")
    every = {expression.image_id for expression in dataset.expressions}
    return every, images_with_boxes(dataset, config.boxes_fraction, seed=config.seed)


def with_noise(config: TrainConfig, image_ids: Collection[int]) -> TrainConfig:
    copy = config.data.with_name(f"noise_{len(list(config.data.parent.iterdir()))}")
    return replace(config, data=copy_with_noise_boxes(config.data, copy, image_ids))


@pytest.mark.parametrize("pooling", ["box", "heatmap"])
def test_weak_supervision_sees_no_box(everything: TrainConfig, pooling: str) -> None:
    """With noise in place of every training box, the weights are the same to the last bit; with boxes they are not."""
    contrast = replace(ALL_LOSSES.contrast, pooling=pooling)
    boxes = replace(everything, losses=replace(ALL_LOSSES, contrast=contrast))
    weak = replace(boxes, supervision="weak")
    every, _ = trained_on(weak)
    assert equal(weights_after(weak, "weak"), weights_after(with_noise(weak, every), "weak_noise"))
    assert not equal(weights_after(boxes, "boxes"), weights_after(with_noise(boxes, every), "boxes_noise"))


def test_mixed_supervision_sees_the_boxes_of_its_images_alone(everything: TrainConfig) -> None:
    mixed = replace(everything, supervision="mixed")
    every, boxed = trained_on(mixed)
    assert len(boxed) == 2 and len(every) == 6
    expected = weights_after(mixed, "mixed")
    assert equal(expected, weights_after(with_noise(mixed, every - boxed), "elsewhere"))
    assert not equal(expected, weights_after(with_noise(mixed, boxed), "here"))


@pytest.mark.parametrize("supervision", ["weak", "mixed"])
@pytest.mark.parametrize("steps", [2, 4])
def test_resumed_run_equals_uninterrupted_without_boxes_too(
    everything: TrainConfig, monkeypatch: pytest.MonkeyPatch, supervision: str, steps: int
) -> None:
    config = replace(everything, supervision=supervision)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, steps)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_fraction": 1.5}, r"boxes_fraction is 1\.5: give a share between 0 and 1"),
        (
            {"losses": LossConfig(contrast=ContrastConfig(weight=0), weak=WeakConfig(map_weight=0, colour_weight=0))},
            "give images without boxes a loss",
        ),
    ],
)
def test_supervision_without_sense_is_refused(everything: TrainConfig, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(everything, supervision="mixed", **changes))
    assert not everything.output.exists()
