import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb

from grounding.errors import InputError
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.example_drawing import DPI, draw_example, draw_gallery
from grounding.visualization.layout import PANEL, fitted, width_of
from tests.visualization.made_up_examples import COLOURS, WHERE, answers, chosen, extent, near, save_photograph


def drawn(path, size, annotated, boxes, colour=(150, 30, 60)):
    """The picture of one example on a photograph of one colour."""
    photograph = save_photograph(path / "photograph.png", size, colour)
    example = {name: {"image_path": photograph, "annotated_xyxy": annotated, "boxes_xyxy": [box]}
               for name, box in boxes.items()}  # fmt: skip
    picture = draw_example(example, COLOURS, width=480, height=400, dpi=150)
    assert picture.dtype == np.uint8
    return picture


def rgb(colour):
    return np.array(to_rgb(colour)) * 255


@pytest.mark.parametrize("size", [(144, 144), (640, 480), (100, 300), (600, 120)])
def test_boxes_lie_where_they_belong(tmp_path, size):
    width, height = size
    whole = np.array([width, height, width, height])
    annotated, demo, rival = (whole * shares for shares in
                              ([0.1, 0.1, 0.4, 0.45], [0.5, 0.2, 0.9, 0.5], [0.2, 0.55, 0.7, 0.9]))  # fmt: skip
    picture = drawn(tmp_path, size, annotated, {"demo": demo, "zero-shot": rival})
    high, wide = picture.shape[:2]
    assert wide / high == pytest.approx(width / height, rel=0.02) and (wide == 480 or high == 400)
    for box, colour in ((annotated, ANNOTATED_COLOUR), (demo, COLOURS["demo"]), (rival, COLOURS["zero-shot"])):
        mask = near(picture, rgb(colour))
        np.testing.assert_allclose(extent(mask), box * wide / width, atol=4)
        x1, y1, x2, y2 = extent(mask)
        assert not mask[y1 + 8 : y2 - 8, x1 + 8 : x2 - 8].any(), "only the outline is drawn"


@pytest.mark.parametrize("ground", [0, 255])
def test_coinciding_boxes_are_both_seen_on_black_and_on_white(tmp_path, ground):
    box = (20, 20, 80, 80)
    picture = drawn(tmp_path, (100, 100), box, {"demo": box}, (ground,) * 3)
    assert near(picture, rgb(COLOURS["demo"])).sum() > 300
    across = picture[picture.shape[0] // 2].astype(int)
    assert (np.abs(across - ground).max(axis=1) > 60).sum() >= 6  # two lines of three pixels or more
    if ground == 0:
        assert near(picture, rgb(ANNOTATED_COLOUR)).sum() > 300


def test_a_box_past_the_border_is_seen_whole_within_it(tmp_path):
    whole = drawn(tmp_path, (200, 200), (50, 50, 60, 60), {"demo": (0, 0, 200, 200)})
    past = drawn(tmp_path, (200, 200), (50, 50, 60, 60), {"demo": (-50, -80, 300, 400)})
    np.testing.assert_array_equal(whole, past)
    assert near(whole, rgb(COLOURS["demo"])).sum() > 4 * 390 * 3  # four sides of three pixels or more


def test_a_missing_image_is_named():
    with pytest.raises(InputError, match=r"nowhere\.png"):
        draw_gallery(chosen(answers(), 3), COLOURS, where=WHERE)


def test_text_fits_by_its_letters():
    for text in ("word " * 60, "W" * 200, "i" * 200, "short"):
        lines = fitted(text, 1.5, 9, 3)
        assert 1 <= len(lines) <= 3 and all(width_of(line, 9) <= 1.5 for line in lines)
        shortened = "".join(lines).replace(" ", "") != text.replace(" ", "")
        assert shortened == lines[-1].endswith("…")
    # As much as there is room for, not less.
    assert width_of(fitted("i" * 200, 1.5, 9, 3)[0], 9) > 1.4


@pytest.mark.parametrize(("show", "size"), [("random", (120, 100)), ("disputed", (90, 300)), ("breakdown", (400, 60))])
def test_no_text_is_cut_off_or_lies_on_another(tmp_path, show, size):
    rows = answers(photograph=save_photograph(tmp_path / "photograph.png", size))
    for row in rows["demo"]:
        row["phrase"] = "Wide words with $signs " * (row["sent_id"] % 9 + 1)
    figure = draw_gallery(chosen(rows, 6, show, by="category"), COLOURS, where="W" * 90)
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


def test_only_the_most_frequent_groups_fit_a_picture():
    kept = chosen(answers(), 2, "breakdown", by="category", most_groups=1)
    assert [section.title for section in kept.sections] == ['cup\'s "<top>"']  # three quarters of the phrases
    assert "The 1 most frequent of 2 groups" in kept.explanation


def test_too_tall_a_picture_is_refused():
    with pytest.raises(InputError, match="smaller --count"):
        draw_gallery(chosen(answers(images=400), 1200), COLOURS, where=WHERE)


def test_a_photograph_fills_its_cell(tmp_path):
    rows = answers(photograph=save_photograph(tmp_path / "photograph.png"))
    figure = draw_gallery(chosen(rows, 6), COLOURS, where=WHERE)
    assert [axis.get_window_extent().width for axis in figure.axes] == pytest.approx([PANEL * DPI] * 6, abs=1)
