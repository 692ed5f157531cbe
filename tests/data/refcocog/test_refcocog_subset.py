"""Part of a split: how many images a subset has, which, and that the seed alone chooses them."""

import pytest

from grounding.data.refcocog import RefCOCOg
from tests.data.refcocog.records import error, ref, write


def many_images(root, count):
    refs = [ref(i, i, i, "train", f"Thing {i}", f"Object {i}") for i in range(1, count + 1)]
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 40, "height": 30} for i in range(1, count + 1)]
    boxes = [{"id": i, "image_id": i, "category_id": 1, "bbox": [1, 1, 5, 5]} for i in range(1, count + 1)]
    return write(root, refs, {"images": images, "annotations": boxes, "categories": []})


def test_subset_counts_images_keeps_order_and_nests(tmp_path):
    root = many_images(tmp_path, 20)
    whole = RefCOCOg(root).expressions
    chosen = {}
    for subset, count in [(1, 1), (0.01, 1), (0.25, 5), (5, 5), (12, 12), (0.99, 20), (20, 20), (None, 20)]:
        expressions = RefCOCOg(root, subset=subset, seed=3).expressions
        chosen[subset] = [e.image_id for e in expressions[::2]]
        assert len(expressions) == 2 * count
        assert list(expressions) == [e for e in whole if e in expressions]
        assert len(RefCOCOg(root, subset=subset, seed=3, group_by="image")) == count
    assert set(chosen[1]) < set(chosen[5]) < set(chosen[12]) < set(chosen[None])
    assert chosen[5] == chosen[0.25] and chosen[1] == chosen[0.01]
    assert chosen[12] != sorted(range(1, 13)), "a seeded choice, not the first images"


def test_subset_depends_on_the_seed_alone(tmp_path):
    root = many_images(tmp_path, 20)
    by_seed = [tuple(e.image_id for e in RefCOCOg(root, subset=6, seed=seed).expressions) for seed in range(5)]
    assert len(set(by_seed)) > 1
    assert by_seed[2] == tuple(e.image_id for e in RefCOCOg(root, subset=6, seed=2).expressions)


@pytest.mark.parametrize("subset", [0, -1, 0.0, 1.0, 1.5, -0.5, float("nan"), True, 4, "half"])
def test_impossible_subsets_are_refused(root, subset):
    assert f"subset is {subset!r}" in error(root, "val", subset=subset)
