"""What is drawn for an epoch: the same again, never a phrase that was not announced, and no box where none is used."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from grounding.data.augment import AugmentationConfig
from grounding.data.batches import TrainingBatch, TrainingItems, collate
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.data.supervision import (
    WithAbsent,
    absent_expressions,
    as_set,
    box_masks,
    images_with_boxes,
    phrase_masks,
)
from grounding.geometry import Letterbox
from grounding.types import Expression, Region, SetExpression
from tests.toy_data import copy_with_noise_boxes

ALL = AugmentationConfig(crop=True, flip=True)
BOX = (4.0, 4.0, 20.0, 20.0)


@pytest.fixture(scope="module")
def refshapes(tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    root = tmp_path_factory.mktemp("refshapes") / "data"
    write_refshapes(root, train=20, val=1, test=1)
    return RefCOCOg(root, "train", group_by="image")


def same(first: TrainingBatch, second: TrainingBatch) -> bool:
    """Equal in every field; the boxes that are nowhere are equal too."""
    values = ((getattr(first, each.name), getattr(second, each.name)) for each in fields(TrainingBatch))
    return all(one == other if isinstance(one, list) else torch.equal(one.nan_to_num(-1), other.nan_to_num(-1))
               for one, other in values)  # fmt: skip


def items_of(dataset: RefCOCOg, augmentation: AugmentationConfig = ALL, *, boxed: bool = True, seed: int = 0
             ) -> TrainingItems:  # fmt: skip
    return TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=3, composed_per_image=2, boxed=boxed,
                         augmentation=augmentation, seed=seed)  # fmt: skip


def drawn(items: TrainingItems, epochs: int = 3) -> list[TrainingBatch]:
    found = []
    for items.epoch in range(epochs):
        found.extend(items[slot] for slot in range(len(items)))
    return found


def test_every_phrase_that_comes_is_announced(refshapes: RefCOCOg) -> None:
    items, plain = items_of(refshapes), items_of(refshapes, AugmentationConfig())
    seen: set[str] = set()
    for items.epoch in range(6):
        seen.update(phrase for index in range(len(items)) for phrase in items[index].phrases)
    assert seen <= items.phrases
    assert plain.phrases < items.phrases
    assert seen - plain.phrases  # some were said of a mirrored picture


def test_a_draw_depends_on_seed_epoch_and_index_only(refshapes: RefCOCOg) -> None:
    items, resumed = items_of(refshapes), items_of(refshapes)
    items.epoch = resumed.epoch = 2
    first = [items[index] for index in range(10)]
    assert all(same(resumed[index], first[index]) for index in reversed(range(10)))
    assert not all(same(items_of(refshapes, seed=1)[index], first[index]) for index in range(10))
    items.epoch = 3
    assert not all(same(items[index], first[index]) for index in range(10))


def test_by_default_pictures_come_as_they_are(refshapes: RefCOCOg) -> None:
    items = TrainingItems(refshapes, model_size=64, stride=4, phrases_per_image=100, seed=0)
    for index in range(len(items)):
        example, item = refshapes[index], items[index]
        letterbox = Letterbox.fit((example.image.shape[1], example.image.shape[0]), 64)
        assert np.array_equal(item.squares[0], letterbox.apply(example.image))
        assert np.array_equal(item.boxes_xyxy, letterbox.boxes_to_model(example.boxes_xyxy))
        assert item.phrases == example.phrases


def test_collated_phrases_know_their_image(refshapes: RefCOCOg) -> None:
    items = items_of(refshapes)
    chosen = [items[index] for index in range(4)]
    batch = collate(chosen)
    for position, item in enumerate(chosen):
        of_image = (batch.image_index == position).nonzero().flatten().tolist()
        assert [batch.phrases[i] for i in of_image] == item.phrases
        assert torch.equal(batch.boxes_xyxy[of_image], item.boxes_xyxy)
        assert torch.equal(batch.valid[position], item.valid[0])


def test_objects_come_first_in_the_draw(refshapes: RefCOCOg) -> None:
    for wanted in (1, 3, 20):
        items = TrainingItems(refshapes, model_size=32, stride=4, phrases_per_image=wanted, seed=0)
        for index, item in enumerate(drawn(items, 1)):
            own = refshapes.expressions_of(index)
            assert len(set(item.phrases)) == len(item.phrases) == min(wanted, len(own))
            assert len(item.region_ids.unique()) == min(wanted, len({each.ann_id for each in own}))


def test_a_fraction_is_a_share_of_the_images_and_larger_ones_contain_it(refshapes: RefCOCOg) -> None:
    counts = {0.0: 0, 0.001: 1, 0.05: 1, 0.12: 2, 0.13: 3, 0.5: 10, 0.99: 20, 1.0: 20}
    chosen = [images_with_boxes(refshapes, fraction, seed=3) for fraction in counts]
    assert [len(each) for each in chosen] == list(counts.values())
    assert all(smaller <= larger for smaller, larger in itertools.pairwise(chosen))
    assert chosen[-1] == set(refshapes.regions)
    assert images_with_boxes(refshapes, 0.5, seed=3) == chosen[5] != images_with_boxes(refshapes, 0.5, seed=4)


@pytest.fixture(scope="module")
def noise(refshapes: RefCOCOg, tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    """The same data with other boxes everywhere."""
    copy = tmp_path_factory.mktemp("noise") / "data"
    return RefCOCOg(copy_with_noise_boxes(refshapes.root, copy, set(refshapes.regions)), "train", group_by="image")


def test_without_boxes_nothing_depends_on_them(refshapes: RefCOCOg, noise: RefCOCOg) -> None:
    hidden, otherwise = items_of(refshapes, boxed=False), items_of(noise, boxed=False)
    assert hidden.phrases == otherwise.phrases and hidden.composed == []
    first, second = drawn(hidden), drawn(otherwise)
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert all(item.boxes_xyxy.isnan().all() for item in first)
    # With boxes nearly everything depends on them, so the comparison above could fail.
    shown = zip(drawn(items_of(refshapes, boxed=True)), drawn(items_of(noise, boxed=True)), strict=True)
    assert not any(same(one, other) for one, other in shown)


def test_unboxed_phrases_are_regions_of_their_own(refshapes: RefCOCOg) -> None:
    of = {each.ann_id for each in refshapes.expressions}
    regions = [region for item in drawn(items_of(refshapes, boxed=False), 1) for region in item.region_ids.tolist()]
    assert len(set(regions)) == len(regions) and not of.intersection(regions)
    known = [region for item in drawn(items_of(refshapes, boxed=True), 1) for region in item.region_ids.tolist()]
    assert set(known) <= {region.ann_id for regions in refshapes.regions.values() for region in regions}


def expression(image_id: int, phrase: str, category: str) -> Expression:
    return Expression(phrase, BOX, image_id, 10 * image_id, image_id, image_id, Path(f"{image_id}.png"), category)


def regions_of(expressions: list[Expression]) -> dict[int, tuple[Region, ...]]:
    return {each.image_id: (Region(each.image_id, each.image_id, BOX, each.category),) for each in expressions}


def test_an_absent_phrase_is_of_a_category_that_is_not_there() -> None:
    expressions = [expression(1, "a cat", "cat"), expression(2, "a dog", "dog"), expression(3, "a cup", "cup")]
    regions = regions_of(expressions)
    regions[1] += (Region(9, 1, BOX, "cup"),)  # which no phrase of the image names
    regions[3] += (Region(7, 3, BOX, "cat"), Region(8, 3, BOX, "dog"))  # nothing is missing here
    drawn = [absent_expressions(expressions, regions, seed=seed) for seed in range(20)]
    assert {each.phrase for found in drawn for each in found[1]} == {"a dog"}
    assert {each.phrase for found in drawn for each in found[2]} == {"a cat", "a cup"}
    assert all(set(found) == {1, 2} for found in drawn)
    assert not drawn[0][1][0].boxes_xyxy and not drawn[0][1][0].ann_ids and drawn[0][1][0].image_id == 1
    assert drawn[3] == absent_expressions(expressions, regions, seed=3)


@pytest.mark.parametrize("phrase", ["the leftmost one", "the dogged striped object", "the blue thing"])
def test_what_does_not_name_its_category_may_fit_anywhere(phrase: str) -> None:
    expressions = [expression(1, "a cat", "cat"), expression(2, phrase, "dog")]
    assert set(absent_expressions(expressions, regions_of(expressions), seed=0)) == {2}
    named = [expressions[0], expression(2, "the leftmost Dog", "dog")]
    assert set(absent_expressions(named, regions_of(named), seed=0)) == {1, 2}
    unknown = [expression(1, "a cat", ""), expression(2, "a dog", "")]
    assert absent_expressions(unknown, {1: (), 2: ()}, seed=0) == {}, "without categories nobody knows"


def test_drawn_sets_keep_their_boxes_whatever_is_done_to_the_picture(refshapes: RefCOCOg) -> None:
    """Two objects, each of which is drawn alone too, and none."""
    sets: dict[int, list[SetExpression]] = {}
    for each, other in zip(refshapes.expressions, refshapes.expressions[2:], strict=False):
        if each.image_id == other.image_id and each.ann_id != other.ann_id:
            place = (each.image_id, 10**6, 10**6, each.image_path)
            both = SetExpression("both", (each.box_xyxy, other.box_xyxy), (each.ann_id, other.ann_id), *place)
            sets[each.image_id] = [both, SetExpression("a dog", (), (), *place)]
    assert len(sets) > 10
    items = TrainingItems(refshapes, model_size=64, stride=4, phrases_per_image=100, composed_per_image=1, sets=sets,
                          sets_per_image=2, augmentation=ALL, seed=0)  # fmt: skip
    assert {"both", "a dog"} <= items.phrases
    places = defaultdict(set)
    for item in drawn(items, 10):
        if both := sets.get(item.image_ids.item()):
            assert item.phrases[-2:] == ["both", "a dog"] and item.box_counts.tolist()[-3:] == [1, 2, 0]
            alone = dict(zip(item.region_ids.tolist()[:-2], item.boxes_xyxy.tolist()[:-2], strict=True))
            assert item.boxes_xyxy[-2:].tolist() == [alone[ann_id] for ann_id in both[0].ann_ids]
            places[item.image_ids.item()].add(str(item.boxes_xyxy.tolist()))
    assert max(map(len, places.values())) > 2
    batch = collate([item, item])
    assert batch.box_counts.tolist() == 2 * item.box_counts.tolist()


def test_a_data_set_with_absent_phrases_has_its_own_too(refshapes: RefCOCOg) -> None:
    both, absent = WithAbsent(refshapes, seed=0), []
    for index in range(len(both)):
        own, found = tuple(map(as_set, refshapes[index].expressions)), both[index].expressions
        assert found[: len(own)] == own
        absent += [each.boxes_xyxy for each in found[len(own) :]]
    assert 10 < len(absent) <= len(both) == 20 and not any(absent)


def test_a_phrase_has_the_masks_of_all_its_boxes() -> None:
    masks = box_masks(torch.tensor([[0.0, 0, 6, 6], [4, 4, 12, 12], [9, 1, 11, 3]]), 4, 4)
    expected = torch.stack([torch.maximum(masks[0], masks[1]), torch.zeros(4, 4), masks[2]])
    torch.testing.assert_close(phrase_masks(masks, torch.tensor([2, 0, 1])), expected)
