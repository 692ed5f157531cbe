from collections import Counter

import numpy as np
import pytest

from grounding.visualization import examples
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.examples import (
    choose,
    choose_disputed,
    draw_example,
    rival_of,
    select_examples,
)
from tests.visualization.made_up_examples import COLOURS, answers, extent, near, save_photograph

BOTH = answers()
FIRST, RIVAL = BOTH.values()


def by_hand(rows, sign, count):
    """Takes the best of what is left, or with -1 the worst, again and again."""
    left, taken = list(rows), []
    while left and len(taken) < count:
        taken.append(max(left, key=lambda row: (sign * row["iou"], row["scores"][0], -row["sent_id"])))
        left = [row for row in left if row["image_id"] != taken[-1]["image_id"]]
    return taken


@pytest.mark.parametrize("count", [1, 5, 100])
def test_best_and_worst_by_brute_force(count):
    assert choose(FIRST, "best", count) == by_hand(FIRST, 1, count)
    assert choose(FIRST, "worst", count) == by_hand([row for row in FIRST if row["iou"] < 0.5], -1, count)
    assert choose([{**row, "iou": 1.0} for row in FIRST], "worst", count) == []


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


def test_random_is_by_lot(monkeypatch):
    taken = choose(FIRST, "random", 10)
    assert choose(FIRST[::-1], "random", 10) == taken, "whatever the order of the rows"
    assert len({row["sent_id"] for row in taken}) == 10 and choose(FIRST, "random", 4) == taken[:4]
    assert len(choose(FIRST, "random", 1000)) == len(FIRST)
    # Each phrase comes as often as any other, whatever its image.
    counts = Counter()
    for seed in range(3600):
        monkeypatch.setattr(examples, "SEED", seed)
        counts[choose(FIRST, "random", 1)[0]["sent_id"]] += 1
    assert len(counts) == len(FIRST) and max(counts.values()) < 160 and min(counts.values()) > 50


def test_rival():
    assert rival_of("demo", ["demo", "zero-shot", "yolo-clip"]) == "yolo-clip"
    assert rival_of("yolo-clip", ["demo", "zero-shot", "yolo-clip"]) == "demo"
    assert rival_of("demo", ["demo"]) is None


@pytest.mark.parametrize(
    ("show", "expected", "said"),
    [
        ("random", choose(FIRST, "random", 5), "at random from 36 phrases"),
        ("best", choose(FIRST, "best", 5), "do not say how often"),
        ("worst", choose(FIRST, "worst", 5), "do not say how often"),
        ("disputed", [row for row, _ in choose_disputed(FIRST, RIVAL, 5)], "where only zero-shot is right"),
    ],
)
def test_what_is_wanted_is_chosen_and_said(show, expected, said):
    explanation, chosen = select_examples(BOTH, show, 5)
    assert [example["demo"] for example in chosen] == expected
    assert ("zero-shot" in chosen[0]) == (show == "disputed")
    assert said in explanation and ("representative" in explanation) == (show == "random")
    right = 100 * np.mean([row["iou"] >= 0.5 for row in FIRST])
    assert f"demo answers {right:.1f}\N{NO-BREAK SPACE}% " in explanation


def drawn(path, size, annotated, boxes, colour=(150, 30, 60)):
    """The picture of one example on a photograph of one colour."""
    photograph = save_photograph(path / "photograph.png", size, colour)
    example = {name: {"image_path": photograph, "annotated_xyxy": annotated, "boxes_xyxy": [box]}
               for name, box in boxes.items()}  # fmt: skip
    picture = draw_example(example, COLOURS, side=480, dpi=150)
    assert picture.dtype == np.uint8
    return picture


@pytest.mark.parametrize("size", [(144, 144), (640, 480), (100, 300), (600, 120)])
def test_boxes_lie_where_they_belong(tmp_path, size):
    width, height = size
    whole = np.array([width, height, width, height])
    annotated, demo, rival = (whole * shares for shares in
                              ([0.1, 0.1, 0.4, 0.45], [0.5, 0.2, 0.9, 0.5], [0.2, 0.55, 0.7, 0.9]))  # fmt: skip
    picture = drawn(tmp_path, size, annotated, {"demo": demo, "zero-shot": rival})
    high, wide = picture.shape[:2]
    assert wide / high == pytest.approx(width / height, rel=0.02) and max(wide, high) == 480
    for box, colour in ((annotated, ANNOTATED_COLOUR), (demo, COLOURS["demo"]), (rival, COLOURS["zero-shot"])):
        mask = near(picture, colour)
        np.testing.assert_allclose(extent(mask), box * wide / width, atol=4)
        x1, y1, x2, y2 = extent(mask)
        assert not mask[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8].any(), "only the outline is drawn"


@pytest.mark.parametrize("ground", [0, 255])
def test_coinciding_boxes_are_both_seen_on_black_and_on_white(tmp_path, ground):
    box = (20, 20, 80, 80)
    picture = drawn(tmp_path, (100, 100), box, {"demo": box}, (ground,) * 3)
    assert near(picture, COLOURS["demo"]).sum() > 300
    across = picture[picture.shape[0] // 2].astype(int)
    assert (np.abs(across - ground).max(axis=1) > 60).sum() >= 6  # two lines of three pixels or more
    if ground == 0:
        assert near(picture, ANNOTATED_COLOUR).sum() > 300


def test_a_box_past_the_border_is_seen_whole_within_it(tmp_path):
    whole = drawn(tmp_path, (200, 200), (50, 50, 60, 60), {"demo": (0, 0, 200, 200)})
    past = drawn(tmp_path, (200, 200), (50, 50, 60, 60), {"demo": (-50, -80, 300, 400)})
    np.testing.assert_array_equal(whole, past)
    assert near(whole, COLOURS["demo"]).sum() > 4 * 470 * 3  # four sides of three pixels or more
