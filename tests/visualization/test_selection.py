from collections import Counter

import numpy as np
import pytest

from grounding.visualization.selection import choose_best, choose_disputed, choose_random, choose_worst, rival_of
from tests.visualization.made_up_examples import answers, chosen, ids

BOTH = answers()
FIRST, RIVAL = BOTH.values()


def by_hand(rows, better, count):
    """Takes the best of what is left, again and again."""
    left, taken = list(rows), []
    while left and len(taken) < count:
        best = left[0]
        for row in left[1:]:
            if better(row, best):
                best = row
        taken.append(best)
        left = [row for row in left if row["image_id"] != best["image_id"]]
    return taken


@pytest.mark.parametrize("count", [1, 5, 100])
def test_best_and_worst_by_brute_force(count):
    def better(a, b):
        return (a["iou"], a["scores"][0], -a["sent_id"]) > (b["iou"], b["scores"][0], -b["sent_id"])

    def worse(a, b):
        return (-a["iou"], a["scores"][0], -a["sent_id"]) > (-b["iou"], b["scores"][0], -b["sent_id"])

    assert choose_best(FIRST, count) == by_hand(FIRST, better, count)
    wrong = [row for row in FIRST if row["iou"] < 0.5]
    assert choose_worst(FIRST, count) == by_hand(wrong, worse, count)


def test_choice_does_not_depend_on_the_order_of_the_rows():
    shuffled = [FIRST[index] for index in np.random.default_rng(3).permutation(len(FIRST))]
    assert choose_best(shuffled, 8) == choose_best(FIRST, 8)
    assert choose_worst(shuffled, 8) == choose_worst(FIRST, 8)
    assert choose_random(shuffled, 8, seed=4) == choose_random(FIRST, 8, seed=4)
    assert choose_disputed(shuffled, RIVAL[::-1], 8) == choose_disputed(FIRST, RIVAL, 8)


def test_disputed_by_brute_force():
    pairs = choose_disputed(FIRST, RIVAL, 100)
    assert pairs
    rivals, used = {row["sent_id"]: row for row in RIVAL}, set()
    for turn, (first, rival) in enumerate(pairs):
        assert rival is rivals[first["sent_id"]]
        sides = ([], [])
        for row in FIRST:
            right, other = row["iou"] >= 0.5, rivals[row["sent_id"]]["iou"] >= 0.5
            if right != other and row["image_id"] not in used:
                sides[0 if right else 1].append(row)
        side = sides[turn % 2] or sides[1 - turn % 2]
        gaps = {row["sent_id"]: abs(row["iou"] - rivals[row["sent_id"]]["iou"]) for row in side}
        assert first["sent_id"] == min(gaps, key=lambda sent_id: (-gaps[sent_id], sent_id))
        used.add(first["image_id"])
    assert choose_disputed(FIRST, RIVAL, 3) == pairs[:3]
    assert [first["iou"] >= 0.5 for first, _ in pairs][:2] == [True, False]


def test_random_is_by_lot():
    taken = choose_random(FIRST, 10, seed=4)
    assert len({row["sent_id"] for row in taken}) == 10 and choose_random(FIRST, 4, seed=4) == taken[:4]
    assert choose_random(FIRST, 10, seed=5) != taken
    assert len(choose_random(FIRST, 1000, seed=4)) == len(FIRST)
    # Each phrase comes as often as any other, whatever its image.
    counts = Counter(choose_random(FIRST, 1, seed=seed)[0]["sent_id"] for seed in range(3600))
    assert len(counts) == len(FIRST) and max(counts.values()) < 160 and min(counts.values()) > 50


def test_rival():
    assert rival_of("demo", ["demo", "zero-shot", "yolo-clip"]) == "yolo-clip"
    assert rival_of("yolo-clip", ["demo", "zero-shot", "yolo-clip"]) == "demo"
    assert rival_of("demo", ["demo"]) is None


@pytest.mark.parametrize(
    ("show", "expected", "said"),
    [
        ("random", choose_random(FIRST, 5, seed=3), "at random (seed 3) from 36 phrases"),
        ("best", choose_best(FIRST, 5), "do not say how often"),
        ("worst", choose_worst(FIRST, 5), "do not say how often"),
        ("disputed", [row for row, _ in choose_disputed(FIRST, RIVAL, 5)], "where only zero-shot is right"),
    ],
)
def test_what_is_wanted_is_chosen_and_said(show, expected, said):
    selection = chosen(BOTH, 5, show, seed=3)
    (section,) = selection.sections
    assert [example["demo"] for example in section.examples] == expected
    assert ("zero-shot" in section.examples[0]) == (show == "disputed")
    assert said in selection.explanation and ("representative" in selection.explanation) == (show == "random")
    right = 100 * np.mean([row["iou"] >= 0.5 for row in FIRST])
    assert f"demo answers {right:.1f}\N{NO-BREAK SPACE}% " in selection.explanation


def test_groups_by_brute_force():
    sections = chosen(BOTH, 3, "breakdown", by="box area").sections
    assert [section.title for section in sections] == ["small", "medium", "large"]
    for index, section in enumerate(sections):
        inside = [row for row in FIRST if row["sent_id"] % 3 == index]
        right = 100 * np.mean([row["iou"] >= 0.5 for row in inside])
        assert section.note == f"12 phrases, {right:.1f}\N{NO-BREAK SPACE}% right"
        assert len(section.examples) == 3 and all(sent_id % 3 == index for sent_id in ids(section))
    extremes = chosen(BOTH, 2, "breakdown", by="subset", of_group="extremes").sections
    assert [section.title for section in extremes] == ["all: best", "all: worst", "even: best", "even: worst"]
    even = [row for row in FIRST if row["sent_id"] % 2 == 0]
    assert ids(extremes[2]) == [row["sent_id"] for row in choose_best(even, 2)]
    assert ids(extremes[3]) == [row["sent_id"] for row in choose_worst(even, 2)]


def test_nothing_right_and_nothing_wrong():
    perfect = {"demo": [{**row, "iou": 1.0} for row in FIRST]}
    assert chosen(perfect, 5, "worst").sections == ()
    extremes = chosen(perfect, 5, "breakdown", by="box area", of_group="extremes").sections
    assert [section.title for section in extremes] == ["small: best", "medium: best", "large: best"]
