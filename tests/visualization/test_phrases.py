"""Several phrases in one picture: each is named, and none hides another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from grounding.methods.stream import GroundedPhrase
from grounding.types import Grounding
from grounding.visualization import phrases
from grounding.visualization.drawing import PHRASE_COLOURS
from grounding.visualization.phrases import save_phrases, shortened
from tests.visualization.made_up_examples import as_array, near

SHAPE = (600, 800, 3)
BOX = [200, 240, 440, 400]
Draw = Callable[..., Figure]


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> Draw:
    """The figure that `save_phrases` would save of an image and answers."""

    def drawn(image: np.ndarray, answers: list[GroundedPhrase], warning: str = "") -> Figure:
        figures: list[Figure] = []
        monkeypatch.setattr(phrases, "save_figure", lambda figure, path: figures.append(figure))
        save_phrases(image, answers, Path("a.png"), warning)
        figures[0].draw_without_rendering()
        return figures[0]

    return drawn


def answer(phrase: str, *boxes: list[int]) -> GroundedPhrase:
    return GroundedPhrase(phrase, np.array(boxes, np.float32), np.linspace(0.9, 0.8, len(boxes)), (0.5, 0.5),
                          tuple(range(len(boxes))), 1.0, True)  # fmt: skip


def labels(figure: Figure) -> list[Text]:
    [axis] = figure.axes
    return [text for text in axis.texts if text.get_text()]


def test_two_phrases_with_equal_boxes_are_both_seen(draw: Draw) -> None:
    figure = draw(np.full(SHAPE, 90, np.uint8), [answer("the red car", BOX), answer("the vehicle", BOX)])
    first, second = labels(figure)
    assert (first.get_text(), second.get_text()) == ("the red car 0.90", "the vehicle 0.90")
    plates = [label.get_bbox_patch().get_window_extent() for label in (first, second)]
    assert not plates[0].overlaps(plates[1])
    lower_edge = as_array(figure)[BOX[3] - 3 : BOX[3] + 3, BOX[0] : BOX[2]]
    for colour in PHRASE_COLOURS[:2]:
        assert near(lower_edge, colour, within=40).any(axis=0).mean() > 0.2


@pytest.mark.parametrize("count", [5, 12])
def test_labels_in_one_corner_do_not_lie_over_each_other(draw: Draw, count: int) -> None:
    asked = [answer(f"phrase number {index}", [6 + 2 * index, 6, 120, 120]) for index in range(count)]
    plates = [label.get_bbox_patch().get_window_extent() for label in labels(draw(np.full(SHAPE, 90, np.uint8), asked))]
    assert len(plates) == count
    assert not any(one.overlaps(other) for one in plates for other in plates if one is not other)
    assert all(plate.y0 >= 0 and plate.y1 <= 601 for plate in plates)


def test_long_phrases_are_shortened_on_labels() -> None:
    assert [shortened(phrase, 5) for phrase in ("a car", "the  cars")] == ["a car", "the…"]


def test_further_boxes_of_a_phrase_have_their_score_alone(draw: Draw) -> None:
    asked = [answer("both dogs", BOX, [10, 10, 60, 60]), replace(answer("a cat", BOX), found=())]
    assert [label.get_text() for label in labels(draw(np.zeros(SHAPE, np.uint8), asked))] == ["both dogs 0.90", "0.80"]


@pytest.mark.parametrize("shape", [(60, 80, 3), (600, 200, 3), (40, 900, 3)])
def test_a_warning_lies_in_the_picture(draw: Draw, shape: tuple[int, int, int]) -> None:
    warning = "this looks like a photograph, and the embedded CLIP knows drawings only"
    figure = draw(np.zeros(shape, np.uint8), [], warning)
    [text] = labels(figure)
    extent = text.get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1
    assert text.get_text().replace("\n", " ").endswith("knows drawings only")


def test_a_saved_answer_names_its_phrase_and_warns(tmp_path: Path) -> None:
    """Read in an SVG, whose letters are outlines with the text beside them as a comment."""
    grounding = Grounding("the woman in the red coat", np.array([BOX], np.float32), np.array([0.73]),
                          np.zeros(SHAPE[:2], np.float32), np.zeros(SHAPE, np.uint8), warning="beware")  # fmt: skip
    grounding.save(tmp_path / "a.svg")
    written = (tmp_path / "a.svg").read_text()
    assert "the woman in the red coat 0.73" in written and "beware" in written
