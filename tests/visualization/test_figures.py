"""Finished pictures, pixel by pixel: what is drawn lies where it belongs, and no text is cut off."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from grounding.extraction import ExtractionConfig, extract
from grounding.types import Grounding
from grounding.visualization.drawing import ANNOTATED_COLOUR, BOX_COLOUR
from grounding.visualization.figures import MethodAnswer, contour_levels, draw_comparison, draw_figure
from tests.visualization.made_up_examples import as_array, near

COMPONENTS = ExtractionConfig(relative=0.5)


def answer(
    size: tuple[int, int] = (80, 60),
    *,
    phrase: str = "the cup",
    method: str = "demo",
    heatmap: np.ndarray | None = None,
    annotated: tuple[float, ...] | None = None,
) -> MethodAnswer:
    """An answer on a black image of (width, height) whose heat is a block in the lower right, unless given."""
    width, height = size
    if heatmap is None:
        heatmap = np.zeros((height, width), dtype=np.float32)
        heatmap[height // 2 :, width // 2 :] = 0.8
    image = np.zeros((*heatmap.shape, 3), dtype=np.uint8)
    cosines = np.linspace(-0.2, 0.4, heatmap.size, dtype=np.float32).reshape(heatmap.shape)
    box = None if annotated is None else np.array(annotated, dtype=np.float32)
    grounding = Grounding(phrase, *extract(heatmap, COMPONENTS), heatmap, image)
    return MethodAnswer(method, grounding, cosines, COMPONENTS, box)


def panels(figure: Figure) -> list[Axes]:
    return [axis for axis in figure.axes if axis.get_title()]


def place(figure: Figure, axis: Axes, x: float, y: float) -> tuple[int, int]:
    """(row, column) in the finished picture of a point of the panel's image."""
    across, up = axis.transData.transform((x, y))
    return round(figure.bbox.height - up), round(across)


def colour_near(picture: np.ndarray, centre: tuple[int, int], colour: str, *, reach: int = 4) -> bool:
    row, column = centre
    window = picture[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    return bool(near(window, colour).any())


def test_figure_has_its_panels_in_order() -> None:
    titles = [axis.get_title() for axis in panels(draw_figure([answer()], title="t"))]
    assert titles == ["image", "CLIP's similarity map", "heatmap", "boxes"]
    proposals = draw_figure([replace(answer(), extraction=None, similarity=None)], title="t")
    assert [axis.get_title() for axis in panels(proposals)] == ["image", "heatmap", "boxes"]


@pytest.mark.parametrize(("size", "annotated"), [((80, 60), (5, 6, 30, 40)), ((61, 200), (10, 20, 30, 90))])
def test_boxes_are_drawn_where_they_belong(size: tuple[int, int], annotated: tuple[float, ...]) -> None:
    given = answer(size, annotated=annotated)
    figure = draw_figure([given], title="t")
    picture = as_array(figure)
    photograph, *_, boxes = panels(figure)
    best = given.grounding.boxes_xyxy[0]
    for axis, box, colour in [
        (photograph, annotated, ANNOTATED_COLOUR), (boxes, annotated, ANNOTATED_COLOUR), (boxes, best, BOX_COLOUR),
    ]:  # fmt: skip
        x1, y1, x2, y2 = box
        middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
        for x, y in [(x1, middle_y), (x2, middle_y), (middle_x, y1), (middle_x, y2)]:
            assert colour_near(picture, place(figure, axis, x, y), colour), (x, y, colour)
        assert not colour_near(picture, place(figure, axis, middle_x, middle_y), colour, reach=2)
    assert not colour_near(picture, place(figure, photograph, best[0], best[3] - 5), BOX_COLOUR, reach=2)


def test_contour_stands_at_the_threshold() -> None:
    heatmap = np.tile(np.linspace(0, 1, 101, dtype=np.float32), (60, 1))  # reaches 0.5 at pixel 50
    figure = draw_figure([answer(heatmap=heatmap)], title="t")
    axis = panels(figure)[2]
    lines = [path.vertices for collection in axis.collections for path in collection.get_paths() if len(path.vertices)]
    assert lines
    for line in lines:
        np.testing.assert_allclose(line[:, 0], 50.5, atol=0.01)


def test_contours_of_the_ways_to_extract() -> None:
    heatmap = np.array([[0, 0.4], [0.6, 0.8]], dtype=np.float32)
    assert contour_levels(heatmap, ExtractionConfig(relative=0.5)) == pytest.approx([0.4])
    assert contour_levels(heatmap, ExtractionConfig(relative=0.5, absolute=0.7)) == pytest.approx([0.7])
    levels = contour_levels(heatmap, ExtractionConfig("multi_threshold", levels=(0.75, 0.25)))
    assert levels == pytest.approx([0.2, 0.6])
    assert contour_levels(heatmap, ExtractionConfig("rectangle", offset=0.25)) == pytest.approx([0.2])
    assert contour_levels(heatmap, ExtractionConfig("quality")) == []


def test_comparison_has_a_column_per_method() -> None:
    left, box = np.zeros((60, 80), dtype=np.float32), (5, 10, 25, 30)
    left[10:30, 5:25] = 1
    row = [answer(method="demo", annotated=box, heatmap=left), answer(method="zero-shot", annotated=box)]
    figure = draw_comparison([row, row], title="t")
    axes = panels(figure)
    assert [axis.get_title() for axis in axes] == ["demo", "zero-shot"] * 2
    assert [text.get_text() for text in written(figure) if "IoU" in text.get_text()] == ["IoU 1.00", "IoU 0.00"] * 2
    picture = as_array(figure)
    assert colour_near(picture, place(figure, axes[0], 5, 20), BOX_COLOUR)
    assert not colour_near(picture, place(figure, axes[1], 5, 20), BOX_COLOUR)
    assert colour_near(picture, place(figure, axes[1], 5, 20), ANNOTATED_COLOUR)
    assert colour_near(picture, place(figure, axes[1], 40, 45), BOX_COLOUR)


def written(figure: Figure) -> list[Text]:
    """All text of a figure but the ticks' labels, which are switched off."""
    ticks = {label for axis in figure.findobj(Axes) for label in axis.get_xticklabels() + axis.get_yticklabels()}
    return [text for text in figure.findobj(Text) if text.get_text() and text not in ticks]


LONG = "the man in the red coat who stands beside the old wooden table near a window with $5 in his hand " * 3


@pytest.mark.parametrize("size", [(1, 1), (3, 500), (500, 3), (80, 60)])
@pytest.mark.parametrize("draw", [draw_figure, lambda answers, title: draw_comparison([answers], title=title)])
def test_no_text_is_cut_off(size: tuple[int, int], draw: Callable[..., Figure]) -> None:
    phrase = LONG.strip()
    figure = draw([answer(size, phrase=phrase, annotated=(0, 0, size[0], size[1]))], title=LONG)
    figure.draw_without_rendering()
    texts = written(figure)
    assert len(texts) > 5
    for text in texts:
        extent = text.get_window_extent()
        assert extent.x0 >= -1 and extent.y0 >= -1, text.get_text()
        assert extent.x1 <= figure.bbox.width + 1 and extent.y1 <= figure.bbox.height + 1, text.get_text()
