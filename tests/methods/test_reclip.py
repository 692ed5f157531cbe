"""Rules about boxes: against loops over the boxes, and against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from grounding.methods.reclip import combine
from grounding.methods.spatial_phrases import SpatialPhrase

RELATIONS = ("left", "right", "above", "below", "bigger", "smaller")
# A wide box upper left, a small one upper right, a tall one lower right.
BOXES = np.array([[0, 0, 40, 20], [70, 5, 80, 15], [60, 40, 80, 100]], dtype=np.float32)


def stands(relation: str, a: np.ndarray, b: np.ndarray) -> bool:
    """The relation of one box to another, said once more: centres by sums of opposite sides."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.tolist(), b.tolist()
    size_a, size_b = (ax2 - ax1) * (ay2 - ay1), (bx2 - bx1) * (by2 - by1)
    return {
        "left": ax1 + ax2 < bx1 + bx2,
        "right": ax1 + ax2 > bx1 + bx2,
        "above": ay1 + ay2 < by1 + by2,
        "below": ay1 + ay2 > by1 + by2,
        "bigger": size_a > size_b,
        "smaller": size_a < size_b,
    }[relation]


def by_loops(phrase: SpatialPhrase, distributions: dict[str, np.ndarray], boxes: np.ndarray) -> list[float]:
    """The formula, box by box, for phrases whose rules leave some box."""
    head = distributions[phrase.head]
    result = list(head)
    rules = [(name, by_loops(anchor, distributions, boxes)) for name, anchor in phrase.relations]
    rules += [(name, list(head)) for name in phrase.superlatives]
    for name, of_others in rules:
        for i in range(len(boxes)):
            result[i] *= sum(of_others[j] for j in range(len(boxes)) if stands(name, boxes[i], boxes[j]))
    return [value / sum(result) for value in result]


def test_combine_equals_loops_on_random_trees():
    rng = np.random.default_rng(1)

    def random_phrase(depth: int) -> SpatialPhrase:
        heads, names = ("a", "b", "c"), RELATIONS
        superlatives = tuple(str(name) for name in rng.choice(names, rng.integers(0, 2)))
        count = int(rng.integers(0, 3)) if depth else 0
        relations = tuple((str(rng.choice(names)), random_phrase(depth - 1)) for _ in range(count))
        return SpatialPhrase(str(rng.choice(heads)), superlatives, relations)

    compared = 0
    for _ in range(200):
        phrase, boxes = random_phrase(2), rng.uniform(0, 100, (7, 4))
        boxes[:, 2:] += boxes[:, :2]
        distributions = {head: rng.dirichlet(np.ones(7)).astype(np.float32) for head in "abc"}
        found = combine(phrase, distributions, boxes)
        assert found.sum() == pytest.approx(1)
        try:
            expected = by_loops(phrase, distributions, boxes)
        except ZeroDivisionError:
            continue  # contradictory somewhere in the tree
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
        compared += 1
    assert compared > 150


# "b" is certainly box 0, "jar" certainly 1.
CERTAIN = {"cup": np.array([0.5, 0.3, 0.2]), "jar": np.array([0.0, 1, 0]), "b": np.array([1.0, 0, 0]),
           "c": np.array([0.0, 0.5, 0.5])}  # fmt: skip


@pytest.mark.parametrize(
    ("superlatives", "relations", "expected"),
    [
        # 1 is right of both others (0.3 * 0.7), 2 only of 0 (0.2 * 0.5).
        (("right",), (), [0, 21 / 31, 10 / 31]),
        # The anchor is narrowed by its own rules: of 1 and 2, the lower one.
        ((), (("right", SpatialPhrase("c", ("below",))),), [0, 1, 0]),
        # A rule that leaves nothing is passed over, and the others count.
        ((), (("left", SpatialPhrase("b")), ("below", SpatialPhrase("b"))), [0, 0, 1]),
        ((), (("below", SpatialPhrase("b")), ("above", SpatialPhrase("b"))), [0, 0, 1]),
    ],
)
def test_values_by_hand(superlatives, relations, expected):
    np.testing.assert_allclose(combine(SpatialPhrase("cup", superlatives, relations), CERTAIN, BOXES), expected)
