"""Wrong phrases are never true of what they are asked of, in a mirror too, and were announced."""

from __future__ import annotations

import pytest

from grounding.data.batches import TrainingItems, collate
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.refcocog import RefCOCOg
from grounding.data.transforms import AugmentationConfig
from tests.data.batches.drawing import Scene, with_everything

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
