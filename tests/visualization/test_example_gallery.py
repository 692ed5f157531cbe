from collections import Counter

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from grounding.errors import InputError
from grounding.visualization.drawing import as_array
from grounding.visualization.example_choice import choose_best, choose_disputed, choose_random, choose_worst, rival_of
from grounding.visualization.example_drawing import COLOURS
from grounding.visualization.fitted_text import fitted, width_of
from grounding.visualization.gallery_picture import draw_gallery
from tests.visualization.made_up_examples import WHERE, answers, grey, ids, wanted


def test_random_is_by_lot_and_independent_of_order():
    rows = answers()["demo"]
    chosen = choose_random(rows, 10, seed=4)
    assert len({row["sent_id"] for row in chosen}) == 10
    assert choose_random(rows[::-1], 10, seed=4) == chosen and choose_random(rows, 4, seed=4) == chosen[:4]
    assert choose_random(rows, 10, seed=5) != chosen
    assert len(choose_random(rows, 1000, seed=4)) == len(rows)
    # Each phrase comes as often as any other, whatever its image.
    counts = Counter(choose_random(rows, 1, seed=seed)[0]["sent_id"] for seed in range(3600))
    assert len(counts) == len(rows) and max(counts.values()) < 160 and min(counts.values()) > 50


def test_rival():
    assert rival_of("demo", ["demo", "zero-shot", "yolo-clip"]) == "yolo-clip"
    assert rival_of("yolo-clip", ["demo", "zero-shot", "yolo-clip"]) == "demo"
    assert rival_of("demo", ["demo"]) is None


def test_what_is_wanted_is_chosen():
    both = answers()
    rows, rival = both.values()
    for show, choose in (("best", choose_best), ("worst", choose_worst)):
        (section,) = wanted(show).choose({"demo": rows}, 5).sections
        assert [example[0] for example in section.examples] == choose(rows, 5)
    (section,) = wanted("disputed").choose(both, 5).sections
    assert list(section.examples) == choose_disputed(rows, rival, 5)
    (section,) = wanted(seed=3).choose({"demo": rows}, 5).sections
    assert [example[0] for example in section.examples] == choose_random(rows, 5, seed=3)


def test_groups_by_brute_force():
    rows = answers()["demo"]
    sections = wanted("breakdown").choose({"demo": rows}, 3).sections
    assert [section.title for section in sections] == ["small", "medium", "large"]
    for index, section in enumerate(sections):
        inside = [row for row in rows if row["sent_id"] % 3 == index]
        right = 100 * np.mean([row["iou"] >= 0.5 for row in inside])
        assert section.note == f"12 phrases, {right:.1f}\N{NO-BREAK SPACE}% right"
        assert len(section.examples) == 3 and all(sent_id % 3 == index for sent_id in ids(section))
    extremes = wanted("breakdown", "subset", "extremes").choose({"demo": rows}, 2).sections
    assert [section.title for section in extremes] == ["all: best", "all: worst", "even: best", "even: worst"]
    even = [row for row in rows if row["sent_id"] % 2 == 0]
    assert ids(extremes[2]) == [row["sent_id"] for row in choose_best(even, 2)]
    assert ids(extremes[3]) == [row["sent_id"] for row in choose_worst(even, 2)]
    kept = wanted("breakdown", "category").choose({"demo": rows}, 2, most_groups=1)
    assert [section.title for section in kept.sections] == ['cup\'s "<top>"']  # three quarters of the phrases
    assert "The 1 most frequent of 2 groups" in kept.explanation


def test_nothing_right_and_nothing_wrong():
    rows = [{**row, "iou": 1.0} for row in answers()["demo"]]
    assert wanted("worst").choose({"demo": rows}, 5).sections == ()
    extremes = wanted("breakdown", "box area", "extremes").choose({"demo": rows}, 5).sections
    assert [section.title for section in extremes] == ["small: best", "medium: best", "large: best"]


@pytest.mark.parametrize(
    ("show", "said"),
    [("random", "at random (seed 0) from 36 phrases"), ("best", "do not say how often"),
     ("worst", "do not say how often"), ("disputed", "where only zero-shot is right")],
)  # fmt: skip
def test_how_it_was_chosen_is_said(show, said):
    both = answers()
    given = both if show == "disputed" else {"demo": both["demo"]}
    explanation = wanted(show).choose(given, 5).explanation
    assert said in explanation and ("representative" in explanation) == (show == "random")
    right = 100 * np.mean([row["iou"] >= 0.5 for row in both["demo"]])
    assert f"demo answers {right:.1f}\N{NO-BREAK SPACE}% " in explanation


def test_text_fits_by_its_letters():
    for text in ("word " * 60, "W" * 200, "i" * 200, "short"):
        lines = fitted(text, 1.5, 9, 3)
        assert 1 <= len(lines) <= 3 and all(width_of(line, 9) <= 1.5 for line in lines)
        shortened = "".join(lines).replace(" ", "") != text.replace(" ", "")
        assert shortened == lines[-1].endswith("…")
    # As much as there is room for, not less.
    assert width_of(fitted("i" * 200, 1.5, 9, 3)[0], 9) > 1.4


def one_example(annotated, boxes, phrase="a cup"):
    rows = {
        name: [{"sent_id": 1, "image_id": 1, "phrase": phrase, "annotated_xyxy": annotated, "boxes_xyxy": [box],
                "scores": [0.5], "iou": iou, "groups": {}}]
        for (name, box), iou in zip(boxes.items(), (0.9, 0.0), strict=False)
    }  # fmt: skip
    return wanted("disputed" if len(boxes) > 1 else "random").choose(rows, 1)


def near(picture, colour):
    return np.abs(picture.astype(int) - np.array(to_rgb(colour)) * 255).max(axis=2) < 40


def extent(mask):
    (rows,), (columns,) = np.nonzero(mask.any(axis=1)), np.nonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


@pytest.mark.parametrize("size", [(144, 144), (640, 480), (100, 300), (600, 120)])
def test_boxes_lie_where_they_belong(size):
    width, height = size
    photograph = np.zeros((height, width, 3), dtype=np.uint8)
    photograph[:] = (150, 30, 60)
    whole = np.array([width, height, width, height])
    annotated, demo, rival = (whole * shares for shares in
                              ([0.1, 0.1, 0.4, 0.45], [0.5, 0.2, 0.9, 0.5], [0.2, 0.55, 0.7, 0.9]))  # fmt: skip
    examples = one_example(annotated, {"demo": demo, "zero-shot": rival})
    figure = draw_gallery(examples, lambda image_id: photograph, where=WHERE)
    picture = as_array(figure)
    ground = near(picture, np.array([150, 30, 60]) / 255)
    left, top, right, bottom = extent(ground)
    assert (right - left) / (bottom - top) == pytest.approx(width / height, rel=0.03)
    inside = np.zeros_like(ground)
    inside[top:bottom, left:right] = True
    scale = np.array([(right - left) / width, (bottom - top) / height] * 2)
    for box, colour in ((annotated, "#FFFFFF"), (demo, COLOURS[0]), (rival, COLOURS[1])):
        np.testing.assert_allclose(extent(near(picture, colour) & inside), box * scale + [left, top, left, top], atol=4)


def test_coinciding_boxes_are_both_seen():
    photograph = np.full((100, 100, 3), 60, dtype=np.uint8)
    box = np.array([20, 20, 80, 80])
    picture = as_array(draw_gallery(one_example(box, {"demo": box}), lambda image_id: photograph, where=WHERE))
    left, top, right, bottom = extent(near(picture, (60 / 255,) * 3))
    inside = picture[top:bottom, left:right]
    assert near(inside, "#FFFFFF").sum() > 300 and near(inside, COLOURS[0]).sum() > 300


@pytest.mark.parametrize("show", ["random", "disputed", "breakdown"])
@pytest.mark.parametrize("shape", [(100, 120), (300, 90), (60, 400)])
def test_no_text_is_cut_off_or_lies_on_another(show, shape):
    both = answers()
    for row in both["demo"]:
        row["phrase"] = "Wide words with $signs " * (row["sent_id"] % 9 + 1)
    examples = wanted(show, "category").choose(both if show == "disputed" else {"demo": both["demo"]}, 6)
    figure = draw_gallery(examples, lambda image_id: np.zeros((*shape, 3), dtype=np.uint8), where="W" * 90)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.texts]
    boxes += [legend.get_window_extent(canvas.get_renderer()) for legend in figure.legends]
    boxes += [axis.get_window_extent() for axis in figure.axes]
    assert len(boxes) > 20
    for index, box in enumerate(boxes):
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
        for other in boxes[:index]:
            across = min(box.x1, other.x1) - max(box.x0, other.x0)
            along = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert across < 1 or along < 3, (box, other)


def test_what_is_left_over_is_no_larger():
    figure = draw_gallery(wanted().choose({"demo": answers()["demo"]}, 6), grey, where=WHERE)
    heights = [axis.get_window_extent().height for axis in figure.axes]
    assert len(heights) == 6 and heights == pytest.approx([heights[0]] * 6, rel=0.01)


def test_too_tall_a_picture_is_refused():
    rows = answers(images=400)["demo"]
    with pytest.raises(InputError, match="smaller --count"):
        draw_gallery(wanted().choose({"demo": rows}, 1200), grey, where=WHERE)
