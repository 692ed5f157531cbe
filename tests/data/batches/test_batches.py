"""What is drawn for an epoch: the same again, never a phrase that was not announced, and no box where none is used."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from grounding.data.augment import AugmentationConfig
from grounding.data.batches import TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.geometry import Letterbox
from tests.data.batches.drawing import ALL, Scene, drawn, ids_of, same, with_everything
from tests.toy_data import copy_with_noise_boxes


def items_of(dataset: RefCOCOg, augmentation: AugmentationConfig, seed: int = 0) -> TrainingItems:
    return TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=3, composed_per_image=2,
                         augmentation=augmentation, seed=seed)  # fmt: skip


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


def test_objects_come_first_in_the_draw() -> None:
    """Three objects of 1, 2 and 9 phrases: with a phrase of each there is one left to draw."""
    scene = Scene([(each, f"phrase {each} {i}") for each, count in ((7, 1), (8, 2), (9, 9)) for i in range(count)])
    phrases: Counter[str] = Counter()
    for wanted, objects in ((1, 1), (2, 2), (3, 3), (4, 3), (20, 3)):
        items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=wanted, seed=0)
        for items.epoch in range(40):
            item = items[0]
            assert len(set(item.phrases)) == len(item.phrases) == min(wanted, 12)
            assert len(set(item.region_ids)) == objects
            phrases.update(item.phrases)
    assert len(phrases) == 12  # and each has its turn
    items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=3, seed=0, boxed=False)
    of_the_third = 0
    for items.epoch in range(100):
        of_the_third += sum(phrase.startswith("phrase 9") for phrase in items[0].phrases)
    assert 190 < of_the_third < 260  # of 300: without boxes nobody says which phrases are of one object


@pytest.fixture(scope="module")
def noise(refshapes: RefCOCOg, tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    """The same data with other boxes everywhere."""
    copy = tmp_path_factory.mktemp("noise") / "data"
    return RefCOCOg(copy_with_noise_boxes(refshapes.root, copy, ids_of(refshapes)), "train", group_by="image")


def test_without_boxes_nothing_depends_on_them(refshapes: RefCOCOg, noise: RefCOCOg) -> None:
    hidden, otherwise = with_everything(refshapes, boxed=False), with_everything(noise, boxed=False)
    assert hidden.phrases == otherwise.phrases and hidden.composed == []
    first, second = drawn(hidden), drawn(otherwise)
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert all(np.isnan(item.boxes_xyxy).all() for item in first)
    # With boxes nearly everything depends on them, so the comparison above could fail.
    shown = zip(drawn(with_everything(refshapes, boxed=True)), drawn(with_everything(noise, boxed=True)), strict=True)
    assert not any(same(one, other) for one, other in shown)


def test_unboxed_phrases_are_regions_of_their_own(refshapes: RefCOCOg) -> None:
    of = {each.ann_id for each in refshapes.expressions}
    regions = [region for item in drawn(with_everything(refshapes, boxed=False), 1) for region in item.region_ids]
    assert len(set(regions)) == len(regions) and not of.intersection(regions)
    known = [region for item in drawn(with_everything(refshapes, boxed=True), 1) for region in item.region_ids]
    assert set(known) <= {region.ann_id for regions in refshapes.regions.values() for region in regions}
