"""What is drawn for an epoch: the same again, and never a phrase that was not announced."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from grounding.data.batches import TrainingItem, TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.data.transforms import AugmentationConfig
from grounding.geometry import Letterbox

ALL = AugmentationConfig(**{field.name: True for field in fields(AugmentationConfig)})


@pytest.fixture(scope="module")
def refshapes(tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    root = tmp_path_factory.mktemp("refshapes") / "data"
    write_refshapes(root, {"train": 20, "val": 1, "test": 1})
    return RefCOCOg(root, "train", group_by="image")


def items_of(dataset: RefCOCOg, augmentation: AugmentationConfig, seed: int = 0) -> TrainingItems:
    return TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=3, composed_per_image=2,
                         augmentation=augmentation, seed=seed)  # fmt: skip


def same(first: TrainingItem, second: TrainingItem) -> bool:
    return all(np.array_equal(getattr(first, each.name), getattr(second, each.name)) for each in fields(TrainingItem))


def test_every_phrase_that_comes_is_announced(refshapes: RefCOCOg) -> None:
    items, plain = items_of(refshapes, ALL), items_of(refshapes, AugmentationConfig())
    seen: set[str] = set()
    for items.epoch in range(6):
        seen.update(phrase for index in range(len(items)) for phrase in items[index].phrases)
    assert seen <= items.phrases
    assert plain.phrases < items.phrases
    assert seen - plain.phrases  # some were said of a mirrored picture


def test_a_draw_depends_on_seed_epoch_and_index_only(refshapes: RefCOCOg) -> None:
    items, resumed = items_of(refshapes, ALL), items_of(refshapes, ALL)
    items.epoch = resumed.epoch = 2
    first = [items[index] for index in range(10)]
    assert all(same(resumed[index], first[index]) for index in reversed(range(10)))
    assert not all(same(items_of(refshapes, ALL, seed=1)[index], first[index]) for index in range(10))
    items.epoch = 3
    assert not all(same(items[index], first[index]) for index in range(10))


def test_by_default_pictures_come_as_they_are(refshapes: RefCOCOg) -> None:
    items = TrainingItems(refshapes, model_size=64, stride=4, phrases_per_image=100, seed=0)
    for index in range(len(items)):
        example, item = refshapes[index], items[index]
        letterbox = Letterbox.fit((example.image.shape[1], example.image.shape[0]), 64)
        assert np.array_equal(item.square, letterbox.apply(example.image))
        assert np.array_equal(item.boxes_xyxy, letterbox.boxes_to_model(example.boxes_xyxy))
        assert item.phrases == example.phrases


def test_collated_phrases_know_their_image(refshapes: RefCOCOg) -> None:
    items = items_of(refshapes, ALL)
    chosen = [items[index] for index in range(4)]
    batch = collate(chosen)
    for position, item in enumerate(chosen):
        of_image = (batch.image_index == position).nonzero().flatten().tolist()
        assert [batch.phrases[i] for i in of_image] == item.phrases
        assert np.array_equal(batch.boxes_xyxy[of_image].numpy(), item.boxes_xyxy)
        assert np.array_equal(batch.valid[position].numpy(), item.valid)
