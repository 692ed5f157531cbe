"""Weak and mixed supervision: no box shows that should not, and images with boxes come often enough."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from grounding.data.batches import TrainingItems
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.refcocog import RefCOCOg
from tests.data.batches.drawing import ALL, drawn, ids_of, same, with_everything
from tests.toy_data import copy_with_noise_boxes


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
    pairs = TrainingItems(ImagePhrasePairs(path), model_size=64, stride=4, phrases_per_image=3, boxed=(),
                          augmentation=ALL, seed=0)  # fmt: skip
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
