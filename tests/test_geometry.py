import numpy as np
import pytest
import torch
import torchvision.ops
from PIL import Image

from grounding.evaluation.metrics import mass_inside
from grounding.geometry import (
    PADDING_RGB,
    Letterbox,
    box_area,
    box_iou,
    box_xywh_to_xyxy,
    box_xyxy_to_xywh,
    heatmap_of_boxes,
    hottest_point,
)

SIZES = [(1, 1), (1, 1000), (1000, 1), (4000, 3), (3, 4000), (640, 480), (31, 33), (448, 448), (449, 447),
         *map(tuple, np.random.default_rng(0).integers(1, 1200, (30, 2)).tolist())]  # fmt: skip


def random_boxes(rng: np.random.Generator, count: int, width: float, height: float) -> np.ndarray:
    """(count, 4) boxes_xyxy inside width x height."""
    x, y = np.sort(rng.uniform(0, width, (count, 2))), np.sort(rng.uniform(0, height, (count, 2)))
    return np.stack([x[:, 0], y[:, 0], x[:, 1], y[:, 1]], axis=1)


def test_box_forms_are_converted_both_ways():
    xywh = np.array([[1, 2, 3, 4], [0, 0, 0, 0], [-2, 5.5, 10, 0.25]])
    xyxy = np.array([[1, 2, 4, 6], [0, 0, 0, 0], [-2, 5.5, 8, 5.75]])
    np.testing.assert_array_equal(box_xywh_to_xyxy(xywh), xyxy)
    np.testing.assert_array_equal(box_xyxy_to_xywh(xyxy), xywh)
    assert box_xywh_to_xyxy(xywh).dtype == box_xyxy_to_xywh(xyxy).dtype == np.float32
    inverted = np.array([[1, 2, 4, 6], [4, 2, 1, 6], [4, 6, 1, 2], [1, 2, 1, 6]], dtype=np.float32)
    assert box_area(inverted).tolist() == [12, 0, 0, 0]


def test_iou_equals_torchvision_also_for_boxes_without_area():
    rng = np.random.default_rng(1)
    a, b = random_boxes(rng, 60, 30, 20), random_boxes(rng, 50, 30, 20)
    b[:10] = a[:10]
    a[10:15, 2] = a[10:15, 0]  # no width
    b[10:15] = a[10:15]  # the same without area: 0 / 0
    b[15] = np.round(b[15])
    expected = torchvision.ops.box_iou(torch.from_numpy(a), torch.from_numpy(b)).nan_to_num(0).numpy()
    assert (expected > 0).sum() > 500
    np.testing.assert_allclose(box_iou(a, b), expected, atol=1e-12)


@pytest.mark.parametrize("model_size", [32, 64, 224, 448])
def test_image_fills_the_square_along_its_longer_side_and_keeps_its_shape(model_size):
    for width, height in SIZES:
        boxes = Letterbox.fit((width, height), model_size).boxes_to_model([[0, 0, width, height]])
        assert boxes.dtype == np.float32
        left, top, right, bottom = boxes[0]
        assert max(right - left, bottom - top) == model_size
        scale = model_size / max(width, height)
        assert right - left == pytest.approx(max(1, width * scale), abs=0.5001)
        assert bottom - top == pytest.approx(max(1, height * scale), abs=0.5001)
        assert abs(left + right - model_size) <= 1 and abs(top + bottom - model_size) <= 1, "centred"


@pytest.mark.parametrize("size", [(640, 480), (300, 411), (64, 64), (20, 33), (1000, 90), (19, 8)])
@pytest.mark.parametrize("model_size", [64, 224])
def test_the_picture_lies_where_the_boxes_say(size, model_size):
    rng = np.random.default_rng(2)
    width, height = size
    letterbox = Letterbox.fit(size, model_size)
    found = 0
    for box in np.round(random_boxes(rng, 30, width, height)).astype(int):
        x1, y1, x2, y2 = letterbox.boxes_to_model(box[None])[0]
        if min(x2 - x1, y2 - y1, box[2] - box[0], box[3] - box[1]) < 4:
            continue  # the bicubic kernel reaches over so thin a box
        image = np.zeros((height, width, 3), dtype=np.uint8)
        image[box[1] : box[3], box[0] : box[2], 0] = 255
        square = letterbox.apply(image)
        assert square.shape == (model_size, model_size, 3) and square.dtype == np.uint8
        rows, columns = np.nonzero(square[..., 0] > 127)  # an edge keeps its place at half the contrast
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(seen, [x1, y1, x2, y2], atol=0.75)
        found += 1
    assert found > 3


def test_padding_is_clips_mean_colour_and_the_content_pil_bicubic():
    image = np.random.default_rng(3).integers(0, 256, (30, 60, 3), dtype=np.uint8)
    square = Letterbox.fit((60, 30), 40).apply(image)
    np.testing.assert_array_equal(square[10:30], Image.fromarray(image).resize((40, 20), Image.Resampling.BICUBIC))
    assert (square[:10] == PADDING_RGB).all() and (square[30:] == PADDING_RGB).all()
    mean = np.array([0.48145466, 0.4578275, 0.40821073]) * 255
    np.testing.assert_allclose(PADDING_RGB, mean, atol=0.5)


def expected_cells(letterbox: Letterbox, stride: int) -> tuple[list[int], list[int]]:
    """(rows, columns) by testing every centre; an image too thin to hold one keeps the cell it lies in."""
    left, top, right, bottom = letterbox.boxes_to_model([[0, 0, *letterbox.image_size]])[0].astype(float)

    def inside(start: float, end: float) -> list[int]:
        cells = range(letterbox.model_size // stride)
        return [cell for cell in cells if start <= (cell + 0.5) * stride < end] or [int((start + end) / 2 // stride)]

    return inside(top, bottom), inside(left, right)


@pytest.mark.parametrize("stride", [1, 4, 16, 32])
def test_valid_mask_is_where_cell_centres_lie_on_the_image(stride):
    for model_size in (32, 224):
        for size in SIZES:
            letterbox = Letterbox.fit(size, model_size)
            expected = np.zeros((model_size // stride,) * 2, dtype=bool)
            expected[np.ix_(*expected_cells(letterbox, stride))] = True
            mask = letterbox.valid_mask(stride)
            assert mask.dtype == bool and mask.any()
            np.testing.assert_array_equal(mask, expected, err_msg=f"{size} in {model_size}")


@pytest.mark.parametrize("size", [(1, 1), (1, 90), (90, 1), (40, 30), (33, 70), (100, 64), (130, 3), (8, 5)])
@pytest.mark.parametrize(("model_size", "stride"), [(64, 4), (64, 16), (96, 32), (32, 32)])
def test_map_on_the_image_is_bilinear_and_padding_never_shows(size, model_size, stride):
    """A map that rises evenly along both axes is, between the centres of its cells, the same at the image's pixels."""
    letterbox = Letterbox.fit(size, model_size)
    rows, columns = expected_cells(letterbox, stride)
    cells = np.arange(model_size // stride, dtype=np.float32)
    values = cells[:, None] + 100 * cells[None]
    on_image = np.zeros(values.shape, dtype=bool)
    on_image[np.ix_(rows, columns)] = True
    result = letterbox.map_to_image(np.where(on_image, values, np.float32(1e6)))
    assert result.shape == (size[1], size[0]) and result.dtype == np.float32
    centres = np.arange(max(size))[:, None] + [0.5, 0.5, 0.5, 0.5]
    x, y = (letterbox.boxes_to_model(centres).astype(float) / stride - 0.5).T[:2]  # in cells; 0 is the first's centre
    expected = y.clip(rows[0], rows[-1])[: size[1], None] + 100 * x.clip(columns[0], columns[-1])[None, : size[0]]
    np.testing.assert_allclose(result, expected, atol=2)  # OpenCV interpolates in steps of 1/32 cell


def test_a_dome_on_every_box() -> None:
    boxes = np.array([[10, 10, 30, 20], [25, 0, 45, 30], [2.2, 2.2, 2.4, 2.4]], dtype=np.float32)
    heatmap = heatmap_of_boxes(boxes, np.array([0.8, 0.4, 0.2], dtype=np.float32), (40, 50))
    assert heatmap.shape == (40, 50) and heatmap.max() == 1
    assert hottest_point(heatmap) == pytest.approx((20, 15), abs=0.6)
    assert heatmap[14, 35] == pytest.approx(0.5, abs=0.05)  # the centre of the second
    assert heatmap[14, 29] > heatmap[14, 30]  # where both lie, the higher one counts
    assert heatmap[2, 2] > 0  # thinner than a pixel, and still seen
    outside = np.ones((40, 50), dtype=bool)
    outside[10:20, 10:30] = outside[0:30, 25:45] = outside[2, 2] = False
    assert (heatmap[outside] == 0).all()
    assert mass_inside(heatmap, np.array([0, 0, 50, 40])) == 1


def test_a_small_best_box_points_before_a_large_close_one() -> None:
    for x in (10.0, 10.3, 10.5, 10.9):
        boxes = np.array([[x, x, x + 3, x + 4], [20, 20, 100, 90]], dtype=np.float32)
        heatmap = heatmap_of_boxes(boxes, np.array([0.5, 0.499], dtype=np.float32), (100, 120))
        assert heatmap.max() == 1
        assert hottest_point(heatmap) == pytest.approx((x + 1.5, x + 2), abs=0.51)


@pytest.mark.parametrize("box", [(30, 20, 30, 40), (30, 20, 50, 20), (30, 20, 30, 20), (0, 0, 0, 0), (80, 60, 80, 60)])
def test_a_box_without_extent_is_a_point_of_the_heatmap(box: tuple[int, ...]) -> None:
    heatmap = heatmap_of_boxes(np.array([box], np.float32), np.array([0.7], np.float32), (60, 80))
    assert np.isfinite(heatmap).all() and heatmap.max() == 1
