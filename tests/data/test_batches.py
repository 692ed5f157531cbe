"""What is drawn for an epoch: the same again, and never a phrase that was not announced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from grounding.data.batches import TrainingItem, TrainingItems, collate
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes
from grounding.data.transforms import AugmentationConfig
from grounding.geometry import Letterbox
from grounding.types import Example, Expression, Region
from tests.toy_data import copy_with_noise_boxes

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
    """Equal in every field; the boxes that are nowhere are equal too."""
    values = ((getattr(first, each.name), getattr(second, each.name)) for each in fields(TrainingItem))
    return all(
        np.array_equal(one, other, equal_nan=one.dtype.kind == "f") if isinstance(one, np.ndarray) else one == other
        for one, other in values
    )


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


def ids_of(dataset: RefCOCOg) -> list[int]:
    return [dataset.expressions_of(index)[0].image_id for index in range(len(dataset))]


def with_everything(dataset: RefCOCOg, boxed: Collection[int] | None) -> TrainingItems:
    """All augmentation, composed and wrong phrases."""
    return TrainingItems(dataset, model_size=64, stride=4, phrases_per_image=3, composed_per_image=2,
                         wrong_per_phrase=3, boxed=boxed, augmentation=ALL, seed=0)  # fmt: skip


def drawn(items: TrainingItems, epochs: int = 3) -> list[TrainingItem]:
    found = []
    for items.epoch in range(epochs):
        found.extend(items[slot] for slot in range(len(items)))
    return found


@pytest.fixture(scope="module")
def noise(refshapes: RefCOCOg, tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    """The same data with other boxes everywhere."""
    copy = tmp_path_factory.mktemp("noise") / "data"
    return RefCOCOg(copy_with_noise_boxes(refshapes.root, copy, ids_of(refshapes)), "train", group_by="image")


def test_without_boxes_nothing_depends_on_them(refshapes: RefCOCOg, noise: RefCOCOg) -> None:
    hidden, otherwise = with_everything(refshapes, ()), with_everything(noise, ())
    assert hidden.phrases == otherwise.phrases and hidden.composed == []
    first, second = drawn(hidden), drawn(otherwise)
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert all(np.isnan(item.boxes_xyxy).all() and not item.boxed for item in first)
    assert any(wrong for item in first for wrong in item.wrong)
    # With boxes nearly everything depends on them, so the comparison above could fail.
    shown = zip(drawn(with_everything(refshapes, None)), drawn(with_everything(noise, None)), strict=True)
    assert not any(same(one, other) for one, other in shown)


def test_in_mixed_supervision_only_the_boxes_of_the_chosen_show(
    refshapes: RefCOCOg, tmp_path_factory: pytest.TempPathFactory
) -> None:
    boxed = set(ids_of(refshapes)[::4])
    rest = set(ids_of(refshapes)) - boxed
    folder = tmp_path_factory.mktemp("mixed")
    elsewhere, here = (
        RefCOCOg(copy_with_noise_boxes(refshapes.root, folder / name, ids), "train", group_by="image")
        for name, ids in (("elsewhere", rest), ("here", boxed))
    )
    before = drawn(with_everything(refshapes, boxed))
    assert all(same(*both) for both in zip(before, drawn(with_everything(elsewhere, boxed)), strict=True))
    changed = [not same(*both) for both in zip(before, drawn(with_everything(here, boxed)), strict=True)]
    assert all(differs for differs, item in zip(changed, before, strict=True) if item.boxed)
    for item in before:
        assert item.boxed == (item.image_id in boxed)
        assert np.isfinite(item.boxes_xyxy).all() if item.boxed else np.isnan(item.boxes_xyxy).all()


def test_pairs_come_as_a_data_set_without_its_boxes(refshapes: RefCOCOg, tmp_path: Path) -> None:
    """The same images and phrases from a JSON-lines file: the pictures and phrases drawn are the same."""
    path = refshapes.root / "pairs.jsonl"
    lines = [f'{{"image": "{each.image_path.name}", "phrase": "{each.phrase}"}}' for each in refshapes.expressions]
    path.write_text("\n".join(lines))
    pairs = TrainingItems(ImagePhrasePairs(path), model_size=64, stride=4, phrases_per_image=3, wrong_per_phrase=2,
                          boxed=(), augmentation=ALL, seed=0)  # fmt: skip
    for slot in range(5):
        item = pairs[slot]
        assert not item.boxed and np.isnan(item.boxes_xyxy).all() and item.square.std() > 0
        assert len(set(item.region_ids)) == len(item.phrases) and max(item.region_ids) < 0


def test_unboxed_phrases_are_regions_of_their_own(refshapes: RefCOCOg) -> None:
    of = {each.ann_id for each in refshapes.expressions}
    regions = [region for item in drawn(with_everything(refshapes, ()), 1) for region in item.region_ids]
    assert len(set(regions)) == len(regions) and not of.intersection(regions)
    known = [region for item in drawn(with_everything(refshapes, None), 1) for region in item.region_ids]
    assert set(known) <= {region.ann_id for regions in refshapes.regions.values() for region in regions}


@pytest.mark.parametrize("count", [1, 3, 9])
def test_few_images_with_boxes_come_in_half_of_the_slots(refshapes: RefCOCOg, count: int) -> None:
    ids = ids_of(refshapes)
    boxed = set(ids[-count:])
    items = with_everything(refshapes, boxed)
    counts: Counter[int] = Counter()
    for items.epoch in range(9):
        of_slots = [items[slot] for slot in range(len(items))]
        assert sum(item.boxed for item in of_slots) == len(ids) // 2
        counts.update(item.image_id for item in of_slots)
    assert set(counts) == set(ids)
    # Among those with boxes, and among those without, none comes up more than once more than another.
    for group in (boxed, set(ids) - boxed):
        assert max(counts[each] for each in group) - min(counts[each] for each in group) <= 1


@pytest.mark.parametrize("count", [0, 10, 15, 20])
def test_else_every_image_comes_once(refshapes: RefCOCOg, count: int) -> None:
    items = with_everything(refshapes, ids_of(refshapes)[:count])
    assert [items[slot].image_id for slot in range(len(items))] == ids_of(refshapes)


class Scene:
    """A data set for phrases of one's own: a grey image with (object, phrase) each, and another with phrases."""

    def __init__(self, said: list[tuple[int, str]], elsewhere: Collection[str] = ()) -> None:
        self._examples = [
            self._example(1, said),
            self._example(2, [(100 + i, phrase) for i, phrase in enumerate(elsewhere)] or [(100, "nothing")]),
        ]
        self.expressions = [each for example in self._examples for each in example.expressions]
        self.regions: dict[int, tuple[Region, ...]] = {1: (), 2: ()}

    @staticmethod
    def _example(image_id: int, said: list[tuple[int, str]]) -> Example:
        expressions = tuple(
            Expression(phrase, (4.0, 4.0, 20.0, 20.0), image_id, ann, ann, 1000 * image_id + i, Path("none.png"))
            for i, (ann, phrase) in enumerate(said)
        )
        return Example(np.full((40, 40, 3), 90, np.uint8), expressions)

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Example:
        return self._examples[index]

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        return self._examples[index].expressions

    def check_images(self) -> None:
        pass


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
    items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=3, seed=0, boxed=())
    of_the_third = 0
    for items.epoch in range(100):
        of_the_third += sum(phrase.startswith("phrase 9") for phrase in items[0].phrases)
    assert 190 < of_the_third < 260  # of 300: without boxes nobody says which phrases are of one object


RED, BLUE, GREEN, OLD = "the red cup", "the blue cup", "the green cup", "the old cup"


@pytest.mark.parametrize("boxed", [True, False])
def test_wrong_phrases_are_never_true(boxed: bool) -> None:
    """With boxes those of the same object are true, without them those of the same image may be."""
    scene = Scene([(1, RED), (1, OLD), (2, BLUE)], [GREEN, "the gray cup", "a red cup", "the red dog"])
    items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=9, wrong_per_phrase=9, seed=0,
                          boxed=None if boxed else ())  # fmt: skip
    found = dict(zip(items[0].phrases, map(set, items[0].wrong), strict=True))
    others = {GREEN, "the gray cup"}
    assert found[RED] == others | {"the red dog"} | ({BLUE} if boxed else set())
    assert found[OLD] == others | ({BLUE} if boxed else set())
    assert found[BLUE] == others | ({RED, OLD} if boxed else set())


def seen_in(items: TrainingItems, epochs: int) -> dict[tuple[str, str], set[str]]:
    """(phrase drawn alone, phrase as asked) -> all wrong phrases."""
    found: dict[tuple[str, str], set[str]] = {}
    for items.epoch in range(epochs):
        [asked], [wrong] = items[0].phrases, items[0].wrong
        found.setdefault((min(asked, mirrored_phrase(asked)), asked), set()).update(wrong)
    return found


def test_wrong_phrases_are_mirrored_where_the_phrase_is() -> None:
    left, right, above = "the left cup", "the right cup", "the upper cup"
    flip = AugmentationConfig(flip=True)
    scene = Scene([(1, left)], [right, above, "the left dog", "the number cup"])
    items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=1, wrong_per_phrase=9, seed=0,
                          augmentation=flip)  # fmt: skip
    found = seen_in(items, 20)
    assert found == {
        (left, left): {right, above, "the left dog", "the number cup"},
        (left, right): {left, above, "the right dog"},  # what a mirror may make untrue has no mirrored form
    }
    assert set().union(*found.values()) <= items.phrases


@pytest.mark.parametrize("boxed", [True, False])
def test_in_a_mirror_too_wrong_phrases_are_never_true(boxed: bool) -> None:
    """One object is "the left cup" and "the old cup": in the mirrored picture, "the right cup" is true of it."""
    scene = Scene([(1, "the left cup"), (1, OLD)], ["the right cup", BLUE])
    items = TrainingItems(scene, model_size=32, stride=4, phrases_per_image=1, wrong_per_phrase=9, seed=0,
                          augmentation=AugmentationConfig(flip=True), boxed=None if boxed else ())  # fmt: skip
    found = seen_in(items, 40)
    assert found[OLD, OLD] == {BLUE}
    assert found["the left cup", "the left cup"] == {"the right cup", BLUE}
    assert found["the left cup", "the right cup"] == {"the left cup", BLUE}


def test_every_wrong_phrase_is_announced_and_known_by_its_phrase(refshapes: RefCOCOg) -> None:
    items = with_everything(refshapes, None)
    said = {each.image_id: set() for each in refshapes.expressions}
    for each in (*refshapes.expressions, *items.composed):
        said[each.image_id].add((each.ann_id, each.phrase))
    for epoch in range(3):
        items.epoch = epoch
        batch = [items[slot] for slot in range(6)]
        together = collate(batch)
        assert set(together.wrong_phrases) <= items.phrases
        flat = [wrong for item in batch for wrong in item.wrong]
        for index, phrase in zip(together.wrong_index.tolist(), together.wrong_phrases, strict=True):
            assert phrase in flat[index]
            # One word in another place, whether mirrored or not.
            words, others = together.phrases[index].split(), phrase.split()
            assert len(words) == len(others) and sum(a != b for a, b in zip(words, others, strict=True)) == 1
        assert len(together.wrong_phrases) == sum(map(len, flat)) > 0
        for item in batch:
            for region, phrase, wrong in zip(item.region_ids, item.phrases, item.wrong, strict=True):
                of_it = {true for ann, true in said[item.image_id] if ann == region}
                mirrored = phrase not in of_it
                true = {mirrored_phrase(each) for each in of_it if can_be_mirrored(each)} if mirrored else of_it
                assert not true.intersection(wrong)
