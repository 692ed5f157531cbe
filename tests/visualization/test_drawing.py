"""Boxes and heatmaps land where they belong: pixels of finished pictures against plain arithmetic."""

from __future__ import annotations

import warnings
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
    ANNOTATED_COLOUR,
    BOX_COLOUR,
    COLOUR_MAP,
    clear_figure,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    laid_over,
    save_figure,
    show_image,
)
from tests.visualization.made_up_examples import as_array, near

SHAPE = (60, 80, 3)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


class TestOverlay:
    def test_hot_pixels_take_the_colour_and_others_do_not(self) -> None:
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


def on_a_picture(image: np.ndarray, scale: int = 1) -> tuple[Figure, Axes]:
    """A figure that is the image, each of its pixels `scale` wide, and its axis."""
    figure, axis = clear_figure((image.shape[1] * scale, image.shape[0] * scale))
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


class TestBoxes:
    @pytest.mark.parametrize("colour", [BOX_COLOUR, ANNOTATED_COLOUR])
    @pytest.mark.parametrize("scale", [1, 4])
    def test_outline_lies_on_the_boxs_edges(self, colour: str, scale: int) -> None:
        figure, axis = on_a_picture(np.zeros(SHAPE, dtype=np.uint8), scale)
        draw_boxes(axis, np.array([[10, 20, 50, 40]], dtype=np.float32), colour=colour, linewidth=1.5)
        drawn = near(as_array(figure), colour, within=12)
        rows, columns = np.nonzero(drawn)
        found = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / scale
        np.testing.assert_allclose(found, [10, 20, 50, 40], atol=2 / scale)
        inner = drawn[24 * scale : 36 * scale, 14 * scale : 46 * scale]
        assert not inner.any(), "only the outline is drawn"


class TestLabels:
    @pytest.mark.parametrize(
        "box", [[30, 30, 60, 50], [0, 0, 80, 60], [70, 55, 80, 60], [-20, -20, 200, 200], [79, 0, 80, 1]]
    )
    def test_label_lies_in_the_picture_wherever_the_box_is(self, box: list[int]) -> None:
        def with_label(margin: int) -> np.ndarray:
            """The label's pixels in a picture with an empty frame around it, so that nothing can be cut off."""
            figure = Figure(figsize=(4 + 2 * margin / 100, 3 + 2 * margin / 100), dpi=100)
            width, height = figure.get_size_inches() * 100
            axis = figure.add_axes((margin / width, margin / height, 400 / width, 300 / height))
            axis.set(xlim=(0, 80), ylim=(60, 0))
            axis.axis("off")
            draw_boxes(axis, np.array([box], dtype=np.float32), ["0.73"], colour="#FF0000", linewidth=0)
            keep_labels_inside(figure)
            picture = as_array(figure)
            return (picture.astype(int)[..., 0] - picture[..., 1] > 100).nonzero()

        rows, columns = with_label(100)
        assert len(rows) > 100
        assert rows.min() >= 99 and rows.max() <= 400 and columns.min() >= 99 and columns.max() <= 500

    def test_label_wider_than_its_panel_stays_in_the_figure(self) -> None:
        figure = Figure(figsize=(4, 3), dpi=100)
        axis = figure.add_axes((0.9, 0.2, 0.05, 0.6))
        axis.set(xlim=(0, 3), ylim=(500, 0))
        draw_boxes(axis, np.array([[0, 100, 3, 200]]), ["a rather long label"])
        keep_labels_inside(figure)
        figure.draw_without_rendering()
        extent = axis.texts[0].get_window_extent()
        assert extent.x0 >= 0 and extent.x1 <= 401


class TestSaving:
    @pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
    def test_grounding_saves_a_picture(self, tmp_path: Path, name: str) -> None:
        image, heatmap = photo(), np.zeros(SHAPE[:2], dtype=np.float32)
        heatmap[30:40, 20:60] = 0.9
        boxes = np.array([[20, 30, 60, 40]], dtype=np.float32)
        Grounding("a cup", boxes, np.array([0.9], dtype=np.float32), heatmap, image).save(tmp_path / name)
        with Image.open(tmp_path / name) as saved:
            assert saved.size == (480, 360)
            pixels = np.asarray(saved.convert("RGB"))
        on_the_edge = near(pixels[6 * 40 - 3 : 6 * 40 + 3, 150:330], BOX_COLOUR, within=70)
        assert on_the_edge.any(axis=0).all(), "the lower edge is unbroken"
        if name.endswith(".png"):
            np.testing.assert_allclose(pixels[303::6, 3:80:6], image[50:, :13] * 0.6, atol=1)

    @pytest.mark.parametrize(("suffix", "magic"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("PNG", b"\x89PNG")])
    def test_same_picture_is_the_same_file(self, tmp_path: Path, suffix: str, magic: bytes) -> None:
        paths = [tmp_path / "new" / f"{name}.{suffix}" for name in "ab"]
        for path in paths:
            figure, axis = on_a_picture(photo())
            draw_boxes(axis, np.array([[10, 20, 50, 40]]), ["0.73"])
            save_figure(figure, path)
        assert paths[0].read_bytes() == paths[1].read_bytes() and paths[0].read_bytes().startswith(magic)
        assert sorted(paths[0].parent.iterdir()) == paths

    def test_labels_of_a_large_photo_are_as_legible_as_those_of_a_small_one(self, tmp_path: Path) -> None:
        shares = []
        for width, height in [(480, 360), (2000, 1500)]:
            image = np.zeros((height, width, 3), dtype=np.uint8)
            boxes = np.array([[0.3, 0.5, 0.7, 0.9]], dtype=np.float32) * [width, height, width, height]
            heatmap = np.zeros((height, width), dtype=np.float32)
            Grounding("a cup", boxes, np.array([0.9]), heatmap, image).save(tmp_path / "picture.png")
            with Image.open(tmp_path / "picture.png") as saved:
                assert saved.size == (width, height)
                rows, _ = np.nonzero(
                    near(np.asarray(saved.convert("RGB"))[: height // 2 - height // 100], BOX_COLOUR, within=12)
                )
            shares.append((rows.max() - rows.min()) / height)
        assert shares[1] == pytest.approx(shares[0], rel=0.1) and shares[0] > 0.02

    @pytest.mark.parametrize("name", ["picture", "picture.txt", "picture.tiff"])
    def test_other_suffixes_are_refused(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match=r"\.png, \.jpg"):
            save_figure(on_a_picture(photo())[0], tmp_path / name)
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["$x$", "$$x$$", "$\\frac{a}{b}$", "$unclosed", "50 % _of_ {this}", "<b>&amp;"])
def test_text_is_drawn_as_it_is(text: str) -> None:
    """As categories and methods may be called: matplotlib would draw a formula, or refuse what is none."""

    def picture(*, math: bool) -> np.ndarray:
        figure = Figure(figsize=(3, 2), dpi=50)
        axis = figure.subplots()
        axis.set_title(text, parse_math=math)
        axis.set_xticks([0], [text])
        for label in axis.get_xticklabels():
            label.set_parse_math(math)
        return as_array(figure)

    np.testing.assert_array_equal(picture(math=True), picture(math=False))


def test_letters_that_a_terminal_would_obey_are_no_warning() -> None:
    figure = Figure(figsize=(3, 2), dpi=50)
    figure.text(0.1, 0.5, "a\x1b[31m\0\x9b\nred")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shown = as_array(figure)
    plain = Figure(figsize=(3, 2), dpi=50)
    plain.text(0.1, 0.5, "a\N{REPLACEMENT CHARACTER}[31m" + 2 * "\N{REPLACEMENT CHARACTER}" + "\nred")
    np.testing.assert_array_equal(shown, as_array(plain))
