"""Training without boxes: none shows in what is drawn."""

from __future__ import annotations

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
    hidden, otherwise = with_everything(refshapes, boxed=False), with_everything(noise, boxed=False)
    assert hidden.phrases == otherwise.phrases and hidden.composed == []
    first, second = drawn(hidden), drawn(otherwise)
    assert all(same(one, other) for one, other in zip(first, second, strict=True))
    assert all(np.isnan(item.boxes_xyxy).all() for item in first)
    # With boxes nearly everything depends on them, so the comparison above could fail.
    shown = zip(drawn(with_everything(refshapes, boxed=True)), drawn(with_everything(noise, boxed=True)), strict=True)
    assert not any(same(one, other) for one, other in shown)


def test_pairs_come_as_a_data_set_without_its_boxes(refshapes: RefCOCOg, tmp_path: Path) -> None:
    """The same images and phrases from a JSON-lines file: the pictures and phrases drawn are the same."""
    path = refshapes.root / "pairs.jsonl"
    lines = [f'{{"image": "{each.image_path.name}", "phrase": "{each.phrase}"}}' for each in refshapes.expressions]
    path.write_text("\n".join(lines))
    pairs = TrainingItems(ImagePhrasePairs(path), model_size=64, stride=4, phrases_per_image=3, boxed=False,
                          augmentation=ALL, seed=0)  # fmt: skip
    for slot in range(5):
        item = pairs[slot]
        assert np.isnan(item.boxes_xyxy).all() and item.square.std() > 0
        assert len(set(item.region_ids)) == len(item.phrases) and max(item.region_ids) < 0


def test_unboxed_phrases_are_regions_of_their_own(refshapes: RefCOCOg) -> None:
    of = {each.ann_id for each in refshapes.expressions}
    regions = [region for item in drawn(with_everything(refshapes, boxed=False), 1) for region in item.region_ids]
    assert len(set(regions)) == len(regions) and not of.intersection(regions)
    known = [region for item in drawn(with_everything(refshapes, boxed=True), 1) for region in item.region_ids]
    assert set(known) <= {region.ann_id for regions in refshapes.regions.values() for region in regions}
