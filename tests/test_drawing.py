import matplotlib
import numpy as np
import pytest
from PIL import Image

from grounding.overlay import ANNOTATED_RGB, BOX_RGB, draw_boxes, heatmap_overlay
from grounding.types import Grounding

SHAPE = (60, 80, 3)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)


def test_cold_pixels_are_the_photo_darker():
    image = photo()
    picture = heatmap_overlay(image, np.zeros(SHAPE[:2], dtype=np.float32))
    assert picture.shape == SHAPE and picture.dtype == np.uint8
    np.testing.assert_allclose(picture, image * 0.6, atol=1)


def test_hot_pixels_take_the_colour_and_others_do_not():
    image, heatmap = photo(), np.zeros(SHAPE[:2], dtype=np.float32)
    heatmap[10:20, 30:50] = 1
    picture = heatmap_overlay(image, heatmap, opacity=1.0)
    hottest = np.array(matplotlib.colormaps["inferno"](1.0)[:3]) * 255
    np.testing.assert_allclose(picture[10:20, 30:50], np.broadcast_to(hottest, (10, 20, 3)), atol=1)
    outside = heatmap == 0
    np.testing.assert_allclose(picture[outside], image[outside] * 0.6, atol=1)
    half = heatmap_overlay(image, heatmap, opacity=0.5)
    np.testing.assert_allclose(half[10:20, 30:50], (image[10:20, 30:50] + hottest) / 2, atol=1)


def test_hotter_is_nearer_to_the_colour():
    image = np.zeros((1, 5, 3), dtype=np.uint8)
    picture = heatmap_overlay(image, np.linspace(0, 1, 5, dtype=np.float32)[None])
    assert (np.diff(picture.astype(int).sum(axis=2)[0]) > 0).all()


def test_arguments_are_not_changed():
    image, heatmap = photo(), np.random.default_rng(1).random(SHAPE[:2]).astype(np.float32)
    kept = image.copy(), heatmap.copy()
    heatmap_overlay(image, heatmap)
    drawn = draw_boxes(image, np.array([[1, 2, 30, 40]]), ["0.50"])
    np.testing.assert_array_equal(image, kept[0])
    np.testing.assert_array_equal(heatmap, kept[1])
    assert not np.shares_memory(drawn, image)


@pytest.mark.parametrize("rgb", [BOX_RGB, ANNOTATED_RGB])
def test_box_is_outlined_on_its_own_pixels(rgb):
    drawn = draw_boxes(np.zeros(SHAPE, dtype=np.uint8), np.array([[10, 20, 50, 40]], dtype=np.float32), rgb=rgb)
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[20:40, 10:50] = rgb
    expected[21:39, 11:49] = 0  # a small picture has lines of one pixel, the last inside the exclusive edge
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("box", [[30, 30, 60, 50], [0, 0, 80, 60], [70, 55, 80, 60], [-20, -20, 200, 200]])
def test_label_lies_in_the_picture_wherever_the_box_is(box):
    plain = np.full(SHAPE, 200, dtype=np.uint8)
    drawn = draw_boxes(plain, np.array([box], dtype=np.float32), ["0.73"])
    bare = draw_boxes(plain, np.array([box], dtype=np.float32))
    assert drawn.shape == SHAPE and (drawn != bare).any(axis=2).sum() > 100
    assert (drawn.max(axis=2) < 60).any(), "the text itself is dark"


def test_every_box_is_drawn_and_none_is_fine():
    image = np.zeros(SHAPE, dtype=np.uint8)
    both = draw_boxes(image, np.array([[2, 2, 20, 20], [40, 30, 70, 50]]))
    assert (both[2, 2:20] == BOX_RGB).all() and (both[30, 40:70] == BOX_RGB).all()
    np.testing.assert_array_equal(draw_boxes(image, np.zeros((0, 4))), image)


def test_image_that_is_a_view_is_drawn_too():
    view = photo()[::-1, :, ::-1]
    drawn = draw_boxes(view, np.array([[10, 20, 50, 40]]))
    assert tuple(drawn[20, 10]) == BOX_RGB
    np.testing.assert_array_equal(drawn[:19], view[:19])


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg"])
def test_grounding_saves_a_picture(tmp_path, name):
    image, heatmap = photo(), np.zeros(SHAPE[:2], dtype=np.float32)
    heatmap[30:40, 20:60] = 0.9
    boxes = np.array([[20, 30, 60, 40]], dtype=np.float32)
    Grounding("a cup", boxes, np.array([0.9], dtype=np.float32), heatmap, image).save(tmp_path / name)
    with Image.open(tmp_path / name) as saved:
        assert saved.size == (80, 60) and saved.mode == "RGB"
        pixels = np.asarray(saved)
    if name.endswith(".png"):
        np.testing.assert_array_equal(pixels[39, 20:60], np.broadcast_to(BOX_RGB, (40, 3)))
        np.testing.assert_allclose(pixels[50:, :15], image[50:, :15] * 0.6, atol=1)
