import io

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from grounding.errors import InputError
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.galleries import choose_best, choose_disputed, choose_worst, draw_example, draw_galleries
from tests.visualization.results_example import example_predictions

COLOURS = {"demo": "#0072B2", "zero-shot": "#D55E00"}
PREDICTIONS = example_predictions()
FIRST, RIVAL = PREDICTIONS.values()


def by_hand(rows, better, count):
    """Takes the best of what is left, again and again."""
    left, chosen = list(rows), []
    while left and len(chosen) < count:
        best = left[0]
        for row in left[1:]:
            if better(row, best):
                best = row
        chosen.append(best)
        left = [row for row in left if row["image_id"] != best["image_id"]]
    return chosen


def ids(rows):
    return [row["sent_id"] for row in rows]


@pytest.mark.parametrize("count", [1, 5, 100])
def test_best_and_worst_by_brute_force(count):
    def better(a, b):
        return (a["iou"], a["scores"][0], -a["sent_id"]) > (b["iou"], b["scores"][0], -b["sent_id"])

    def worse(a, b):
        return (-a["iou"], a["scores"][0], -a["sent_id"]) > (-b["iou"], b["scores"][0], -b["sent_id"])

    assert ids(choose_best(FIRST, count)) == ids(by_hand(FIRST, better, count))
    wrong = [row for row in FIRST if row["iou"] < 0.5]
    assert ids(choose_worst(FIRST, count)) == ids(by_hand(wrong, worse, count))


def test_choice_does_not_depend_on_the_order_of_the_rows():
    shuffled = [FIRST[index] for index in np.random.default_rng(3).permutation(len(FIRST))]
    assert ids(choose_best(shuffled, 8)) == ids(choose_best(FIRST, 8))
    assert ids(choose_worst(shuffled, 8)) == ids(choose_worst(FIRST, 8))
    disputed = [first["sent_id"] for first, _ in choose_disputed(FIRST, RIVAL, 8)]
    assert [first["sent_id"] for first, _ in choose_disputed(shuffled, RIVAL[::-1], 8)] == disputed


def test_disputed_by_brute_force():
    chosen = choose_disputed(FIRST, RIVAL, 100)
    assert chosen
    rivals, used = {row["sent_id"]: row for row in RIVAL}, set()
    for turn, (first, rival) in enumerate(chosen):
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
    assert ids([first for first, _ in choose_disputed(FIRST, RIVAL, 3)]) == ids([first for first, _ in chosen[:3]])
    directions = [first["iou"] >= 0.5 for first, _ in chosen]
    assert directions[:2] == [True, False]


def drawn(image, *arguments, **options):
    with Image.open(io.BytesIO(draw_example(image, *arguments, colours=COLOURS, **options))) as picture:
        assert picture.format == "JPEG"
        return np.asarray(picture.convert("RGB")).astype(int)


def extent(mask):
    """(x1, y1, x2, y2) of the True pixels."""
    (rows,), (columns,) = np.nonzero(mask.any(axis=1)), np.nonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])


def near(picture, rgb, tolerance=60):
    return np.abs(picture - np.array(rgb)).max(axis=2) < tolerance


@pytest.mark.parametrize("size", [(144, 144), (640, 480), (100, 400)], ids=["small", "photograph", "tall"])
def test_boxes_lie_where_they_belong(size):
    width, height = size
    photo = np.full((height, width, 3), 128, dtype=np.uint8)
    annotated = np.array([0.1 * width, 0.2 * height, 0.5 * width, 0.6 * height])
    box = np.array([0.55 * width, 0.3 * height, 0.95 * width, 0.9 * height])
    picture = drawn(photo, "a cup", annotated, {"demo": box})
    assert max(picture.shape[:2]) <= 360
    grey = near(picture, (128, 128, 128), 12)
    rows = grey.sum(axis=1) > 0.1 * picture.shape[1]
    left, top, right, bottom = extent(grey & rows[:, None])
    scale = (right - left) / width
    assert (bottom - top) / height == pytest.approx(scale, rel=0.03)
    inside = np.zeros_like(grey)
    inside[top:bottom, left:right] = True
    for wanted, rgb in (
        (annotated, np.array(to_rgb(ANNOTATED_COLOUR)) * 255),
        (box, np.array(to_rgb(COLOURS["demo"])) * 255),
    ):
        mask = near(picture, rgb) & inside
        expected = wanted * scale + [left, top, left, top]
        np.testing.assert_allclose(extent(mask), expected, atol=3)
        # Thin, but on all four sides: the middle of the box stays free, and the outline is nearly closed.
        x1, y1, x2, y2 = extent(mask)
        assert not mask[y1 + 6 : y2 - 6, x1 + 6 : x2 - 6].any()
        assert mask[:, x1 + 6 : x2 - 6].any(axis=0).mean() > 0.9 and mask[y1 + 6 : y2 - 6].any(axis=1).mean() > 0.9


@pytest.mark.parametrize("ground", [0, 255])
def test_lines_are_seen_on_black_and_on_white(ground):
    photo = np.full((200, 200, 3), ground, dtype=np.uint8)
    plain = drawn(photo, "x", (50, 50, 150, 150), {})
    both = drawn(photo, "x", (50, 50, 150, 150), {"demo": (20, 20, 180, 180)})
    row = both[both.shape[0] // 2]
    assert (np.abs(row - ground).max(axis=1) > 60).sum() >= 8  # four lines of two pixels or more
    assert near(plain, np.array(to_rgb(ANNOTATED_COLOUR)) * 255).sum() > 500


def test_boxes_at_one_place_are_both_seen():
    photo = np.full((200, 300, 3), 128, dtype=np.uint8)
    box = (50, 50, 250, 150)
    picture = drawn(photo, "x", (0, 0, 20, 20), {"demo": box, "zero-shot": (51, 50, 250, 151)})[:255]
    for name in COLOURS:
        assert near(picture, np.array(to_rgb(COLOURS[name])) * 255).sum() > 150, name


def test_a_box_past_the_border_stays_in_the_photograph():
    photo = np.full((200, 200, 3), 128, dtype=np.uint8)
    inside = drawn(photo, "x", (0, 0, 200, 200), {})
    np.testing.assert_array_equal(drawn(photo, "x", (-50, -80, 300, 400), {}), inside)


def test_strange_phrases_are_drawn():
    photo = np.zeros((50, 50, 3), dtype=np.uint8)
    drawn(photo, "costs $5 and $\\frac{ <script>", (0, 0, 9, 9), {})
    long = drawn(photo, "word " * 200, (0, 0, 9, 9), {})
    assert max(long.shape[:2]) <= 360


@pytest.fixture
def with_images(tmp_path):
    rows = example_predictions()
    for number in range(12):
        Image.new("RGB", (110, 100), (20 * number, 99, 99)).save(tmp_path / f"{number}.png")
    for row in (row for answers in rows.values() for row in answers):
        row["image_path"] = str(tmp_path / row["image_path"])
    return rows


def test_galleries(with_images):
    best, worst, disputed = draw_galleries(with_images, COLOURS, rival="zero-shot", count=4)
    assert [gallery.title for gallery in (best, worst, disputed)] == ["Best", "Worst", "Disputed"]
    row = choose_best(with_images["demo"], 1)[0]
    assert best.pictures[0].phrase == row["phrase"]
    assert best.pictures[0].note == f"demo: IoU {row['iou']:.2f}, score {row['scores'][0]:.2f}"
    assert len(best.pictures) == 4 and len(disputed.pictures) <= 4
    assert "zero-shot: IoU" in disputed.pictures[0].note
    assert len(draw_galleries(with_images, COLOURS, rival=None, count=2)) == 2


def test_a_missing_image_is_named(with_images):
    with_images["demo"][0]["image_path"] = "gone.png"
    with pytest.raises(InputError, match=r"gone\.png"):
        draw_galleries(with_images, COLOURS, rival=None, count=12)
