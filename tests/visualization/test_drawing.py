"""Boxes and heatmaps land where they belong: pixels of finished pictures against plain arithmetic."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from grounding import InputError
from grounding.types import Grounding
from grounding.visualization.drawing import (
    BOX_COLOUR,
    COLOUR_MAP,
    clear_figure,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    laid_over,
    save_figure,
    show_image,
    take_literally,
)
from tests.visualization.made_up_examples import as_array, near

SHAPE = (60, 80, 3)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def test_hot_pixels_take_the_colour_and_others_do_not() -> None:
    image, heatmap = photo(), np.zeros(SHAPE[:2], dtype=np.float32)
    heatmap[10:20, 30:50] = 1
    kept = image.copy(), heatmap.copy()
    hottest = np.array(matplotlib.colormaps[COLOUR_MAP](1.0)[:3]) * 255
    for opacity in (1.0, 0.5, 0.0):
        picture = heatmap_overlay(image, heatmap, opacity=opacity)
        assert picture.shape == SHAPE and picture.dtype == np.uint8
        wanted = image[10:20, 30:50] * (1 - opacity) + hottest * opacity
        np.testing.assert_allclose(picture[10:20, 30:50], wanted, atol=1.5)
    np.testing.assert_allclose(picture, image, atol=1)  # without opacity the photo is as it was
    outside = heatmap == 0
    np.testing.assert_allclose(heatmap_overlay(image, heatmap)[outside], image[outside] * 0.6, atol=1)
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(heatmap, kept[1])


def on_a_picture(image: np.ndarray) -> tuple[Figure, Axes]:
    """A figure that is the image, and its axis."""
    figure, axis = clear_figure(image.shape[1::-1])
    show_image(axis, image)
    axis.set_aspect("auto")
    return figure, axis


def test_a_clear_figure_over_a_picture_is_a_figure_of_the_picture() -> None:
    boxes, labels = np.array([[30.0, 20, 60, 40], [10, 30, 70, 50]]), ["0.93", "0.41"]
    for image in (photo(), photo()[::-1, :, ::-1]):
        whole, axis = on_a_picture(image)
        clear, clear_axis = clear_figure(image.shape[1::-1])
        np.testing.assert_array_equal(as_array(whole), image)
        np.testing.assert_array_equal(laid_over(image, clear), image)
        for each in (axis, clear_axis):
            draw_boxes(each, boxes, labels)
        laid = laid_over(image, clear)
        assert np.abs(laid.astype(int) - as_array(whole)).max() <= 3
        assert (laid != image).any(axis=-1).mean() > 0.02


@pytest.mark.parametrize(
    "box", [[30, 30, 60, 50], [0, 0, 80, 60], [70, 55, 80, 60], [-20, -20, 200, 200], [79, 0, 80, 1]]
)
def test_label_lies_in_the_picture_wherever_the_box_is(box: list[int]) -> None:
    figure = Figure(figsize=(6, 5), dpi=100)  # an empty frame is about the picture, so that nothing can be cut off
    axis = figure.add_axes((1 / 6, 1 / 5, 4 / 6, 3 / 5))
    axis.set(xlim=(0, 80), ylim=(60, 0))
    axis.axis("off")
    draw_boxes(axis, np.array([box], dtype=np.float32), ["0.73"], colour="#FF0000", linewidth=0)
    keep_labels_inside(figure)
    picture = as_array(figure).astype(int)
    rows, columns = (picture[..., 0] - picture[..., 1] > 100).nonzero()
    assert len(rows) > 100
    assert rows.min() >= 99 and rows.max() <= 400 and columns.min() >= 99 and columns.max() <= 500


@pytest.mark.parametrize(("name", "scale"), [("picture.png", 1), ("picture.jpg", 1), ("picture.png", 25)])
def test_an_answer_saves_a_picture(tmp_path: Path, name: str, scale: int) -> None:
    """A small one is enlarged, and on any its label is as legible."""
    image = photo().repeat(scale, axis=0).repeat(scale, axis=1)
    heatmap = np.zeros(image.shape[:2], dtype=np.float32)
    heatmap[30 * scale : 40 * scale, 20 * scale : 60 * scale] = 0.9
    box = np.array([[20, 30, 60, 40]], dtype=np.float32) * scale
    Grounding("a cup", box, np.array([0.9], dtype=np.float32), heatmap, image).save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        assert saved.size == ((480, 360) if scale == 1 else (2000, 1500))
        pixels = np.asarray(saved.convert("RGB"))
    zoom = len(pixels) // 60
    on_the_edge = near(pixels[zoom * 40 - 3 : zoom * 40 + 3, 25 * zoom : 55 * zoom], BOX_COLOUR, within=70)
    assert on_the_edge.any(axis=0).all(), "the lower edge is unbroken"
    label = near(pixels[10 * zoom : 29 * zoom, 20 * zoom : 25 * zoom], BOX_COLOUR, within=30).any(axis=1).sum()
    assert label / len(pixels) == pytest.approx(0.028, rel=0.1)
    if name.endswith(".png"):
        np.testing.assert_allclose(pixels[50 * zoom + 3 :: zoom, 3 : 13 * zoom : zoom],
                                   image[50 * scale :: scale, : 13 * scale : scale] * 0.6, atol=1)  # fmt: skip


@pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
def test_same_picture_is_the_same_file(tmp_path: Path, suffix: str, magic: bytes) -> None:
    paths = [tmp_path / "new" / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        figure, axis = on_a_picture(photo())
        draw_boxes(axis, np.array([[10, 20, 50, 40]]), ["0.73"])
        save_figure(figure, path)
    assert paths[0].read_bytes() == paths[1].read_bytes() and paths[0].read_bytes().startswith(magic)
    assert sorted(paths[0].parent.iterdir()) == paths


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.png, \.jpg"):
        save_figure(Figure(), tmp_path / "picture.tiff")
    assert not list(tmp_path.iterdir())


def test_text_is_no_formula_and_has_no_letter_that_a_terminal_obeys() -> None:
    figure = Figure()
    text = figure.text(0, 0, "$x$ \x1b[31m")
    take_literally(figure)
    assert text.get_text() == "$x$ \ufffd[31m" and not text.get_parse_math()
