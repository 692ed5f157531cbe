"""Training with phrases for several objects or none: what is drawn, and settings that do not go together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.methods.config import ModelConfig
from grounding.model.decoder import DecoderConfig
from grounding.runtime.errors import SettingsError
from grounding.training.config import TrainConfig
from grounding.training.criterion import LossConfig
from grounding.training.datasets import training_data, training_items
from grounding.training.train import train


def drawn(config: TrainConfig, epochs: int = 8) -> set[tuple[str, int]]:
    """Every phrase that comes, with the number of its boxes."""
    dataset = RefCOCOg(config.data, "train", group_by="image")
    items = training_items(config, dataset, len(dataset))
    found = set()
    for items.epoch in range(epochs):
        found |= {pair for item in map(items.__getitem__, range(len(items)))
                  for pair in zip(item.phrases, item.box_counts.tolist(), strict=True)}  # fmt: skip
    return found


def test_the_data_sets_own_sets_are_drawn(everything: TrainConfig) -> None:
    found = {pair for pair in drawn(replace(everything, composed_per_image=0)) if pair[1] != 1}
    assert found == {("both boxes", 2), ("a dog", 0)}  # and not "the left box", which is one of the others
    assert all(count == 1 for _, count in drawn(replace(everything, sets_per_image=0)))


def test_where_no_phrase_fits_nothing_there_is_nothing_to_learn(everything: TrainConfig) -> None:
    """All of the toy data's objects are of one category."""
    with pytest.raises(SettingsError, match=r"no phrase is known to fit nothing.*sets_per_image 0"):
        train(replace(everything, sets_split_by=None))


ADAPTERS = DecoderConfig(kind="adapters")


@pytest.mark.parametrize(
    ("decoder", "changes", "said"),
    [
        (replace(ADAPTERS, presence=True), {}, r"model\.decoder\.presence is true and .*'adapters'"),
        (replace(ADAPTERS, lora_rank=2), {}, r"model\.decoder\.lora_rank is 2 and .*'adapters'"),
        (ADAPTERS, {"sets_per_image": 1}, r"sets_per_image is 1 and .*'adapters'"),
        (DecoderConfig(presence=True), {}, r"presence is true and sets_per_image 0"),
        (DecoderConfig(), {"sets_per_image": 1}, r"presence is false and sets_per_image 1"),
        (DecoderConfig(), {"sets_split_by": "unc"}, r"sets_split_by is 'unc' and sets_per_image 0"),
        (DecoderConfig(), {"model": ModelConfig(spatial_rules=True)}, r"spatial_rules is true and .*'convolutional'"),
        (DecoderConfig(adapter=False), {"losses": LossConfig(contrast_weight=0.1)}, r"contrast_weight is above 0 and"),
        (
            DecoderConfig(adapter=False),
            {"losses": LossConfig(distance_weight=1.0)},
            r"distance_weight is above 0, .*lora_",
        ),
    ],
)
def test_settings_that_do_not_go_together(
    config: TrainConfig, decoder: DecoderConfig, changes: dict[str, object], said: str
) -> None:
    wrong = replace(config, **{"model": ModelConfig(decoder=decoder), **changes})  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match=said):
        training_data(wrong)


@pytest.mark.parametrize("decoder", [DecoderConfig(), DecoderConfig(adapter=False, lora_rank=2)])
def test_whatever_changes_clips_embeddings_can_be_held_to_them(config: TrainConfig, decoder: DecoderConfig) -> None:
    training_data(replace(config, model=ModelConfig(decoder=decoder), losses=LossConfig(distance_weight=1.0)))
