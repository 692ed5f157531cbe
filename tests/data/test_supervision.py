"""Which images' boxes are used."""

from __future__ import annotations

import itertools
from pathlib import Path

from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import images_with_boxes
from tests.toy_data import write_toy_data


def test_a_fraction_is_a_share_of_the_images_and_larger_ones_contain_it(tmp_path: Path) -> None:
    toy = RefCOCOg(write_toy_data(tmp_path / "data", {"train": 10}), "train", group_by="image")
    counts = {0.0: 0, 0.001: 1, 0.1: 1, 0.24: 2, 0.26: 3, 0.5: 5, 0.99: 10, 1.0: 10}
    chosen = [images_with_boxes(toy, fraction, seed=3) for fraction in counts]
    assert [len(each) for each in chosen] == list(counts.values())
    assert all(smaller <= larger for smaller, larger in itertools.pairwise(chosen))
    assert chosen[-1] == {expression.image_id for expression in toy.expressions}
    by_seed = [images_with_boxes(toy, 0.5, seed=seed) for seed in (0, 1, 2, 3, 4, 4)]
    assert len(set(map(frozenset, by_seed))) > 1 and by_seed[-1] == by_seed[-2]
