"""Boxes by GrabCut: the object under a blurred heatmap, in any size, and something where there is nothing to cut."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from grounding.extraction import ExtractionConfig, boxes_from_heatmap, extract
from grounding.extraction.grabcut import LIKELY, boxes_by_grabcut
from grounding.geometry import box_iou
from grounding.runtime.errors import InputError

GRABCUT = ExtractionConfig("grabcut")


def scene(width: int, height: int, box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A red box on noise, and a round spot of heat within it that is smaller than it."""
    rng = np.random.default_rng(0)
    image = rng.integers(90, 150, (height, width, 3), dtype=np.uint8)
    x1, y1, x2, y2 = box
    image[y1:y2, x1:x2] = np.add((200, 40, 40), rng.integers(-20, 20, (y2 - y1, x2 - x1, 3)))
    y, x = np.mgrid[:height, :width]
    spread = 0.2 * (x2 - x1 + y2 - y1)
    heat = np.exp(-((x - (x1 + x2) / 2) ** 2 + (y - (y1 + y2) / 2) ** 2) / (2 * spread**2))
    return image, heat.astype(np.float32)


@pytest.mark.parametrize(("width", "height"), [(120, 90), (640, 480), (300, 700)])
def test_the_box_is_that_of_the_object_and_not_of_the_heat(width: int, height: int) -> None:
    side = min(width, height) // 2
    box = width // 4, height // 3, width // 4 + side, height // 3 + side
    image, heatmap = scene(width, height, box)
    boxes, scores = boxes_by_grabcut(image, heatmap)
    by_heat, _ = boxes_from_heatmap(heatmap, relative_threshold=LIKELY)
    iou, iou_by_heat = (box_iou(each[:1], np.array([box]))[0, 0] for each in (boxes, by_heat))
    assert iou > 0.85 > iou_by_heat
    assert boxes.dtype == scores.dtype == np.float32 and (np.diff(scores) <= 0).all()
    assert scores[0] == pytest.approx(box_iou(boxes[:1], by_heat[:1])[0, 0], abs=1e-5)
    assert (boxes[:, :2] >= 0).all() and (boxes[:, 2:] <= (width, height)).all() and (boxes[:, 2:] > boxes[:, :2]).all()


def test_of_two_parts_the_one_under_the_hottest_heat_comes_first() -> None:
    left, right = (10, 20, 50, 60), (90, 20, 130, 60)
    image, heatmap = scene(140, 80, right)
    other, weaker = scene(140, 80, left)
    image[:, :70] = other[:, :70]
    boxes, scores = boxes_by_grabcut(image, np.maximum(heatmap, 0.95 * weaker))
    assert len(boxes) == 2 and scores[0] > scores[1]
    assert box_iou(boxes, np.array([right, left])).diagonal().min() > 0.8


def test_the_same_every_time() -> None:
    """On blurred noise, where colours are hard to tell apart and the cut depends on where k-means began."""
    for number in range(6):
        rng = np.random.default_rng(number)
        image = cv2.GaussianBlur(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8), (0, 0), 2)
        heatmap = cv2.GaussianBlur(rng.random((40, 60), dtype=np.float32), (0, 0), 5)
        heatmap = (heatmap - heatmap.min()) / np.ptp(heatmap)
        found = []
        for state in (1, 2, 99):  # of the generator, as whoever used it before has left it
            cv2.setRNGSeed(state)
            found.append(boxes_by_grabcut(image, heatmap))
        assert all(np.array_equal(*pair) for other in found[1:] for pair in zip(found[0], other, strict=True))


@pytest.mark.parametrize("heatmap", [np.zeros((40, 60)), np.full((40, 60), 0.5), np.eye(60)[:40], np.ones((1, 1))])
def test_where_nothing_can_be_cut_the_heatmap_answers(heatmap: np.ndarray) -> None:
    boxes, scores = boxes_by_grabcut(np.full((*heatmap.shape, 3), 128, np.uint8), heatmap.astype(np.float32))
    assert len(boxes) == len(scores) >= 1 and (boxes[:, 2:] > boxes[:, :2]).all()
    if np.ptp(heatmap) == 0:  # there is nothing to start from, and nothing to be sure of
        assert (scores == 0).all()


def test_it_needs_the_image() -> None:
    image, heatmap = scene(60, 40, (10, 10, 30, 30))
    with pytest.raises(InputError, match="needs the image"):
        extract(heatmap, GRABCUT)
    assert np.array_equal(extract(heatmap, GRABCUT, image=image)[0], boxes_by_grabcut(image, heatmap)[0])
