"""Boxes, their overlap, and the letterbox between image pixels and model pixels.

Coordinates are continuous: the pixel in column ``c`` covers ``[c, c + 1)``, so ``x2`` and ``y2`` are
exclusive and a box's width is ``x2 - x1``.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from grounding.runtime.errors import InputError

# CLIP's mean colour (the `clip` package, `clip.py`, `_transform`): padding of this colour is zero once normalised.
PADDING_RGB = (123, 117, 104)


def box_xywh_to_xyxy(boxes_xywh: np.ndarray) -> np.ndarray:
    """COCO's (x, y, width, height) as (x1, y1, x2, y2); (..., 4) to (..., 4) float32."""
    boxes = np.asarray(boxes_xywh, dtype=np.float32)
    return np.concatenate([boxes[..., :2], boxes[..., :2] + boxes[..., 2:]], axis=-1)


def box_xyxy_to_xywh(boxes_xyxy: np.ndarray) -> np.ndarray:
    """(x1, y1, x2, y2) as COCO's (x, y, width, height); (..., 4) to (..., 4) float32."""
    boxes = np.asarray(boxes_xyxy, dtype=np.float32)
    return np.concatenate([boxes[..., :2], boxes[..., 2:] - boxes[..., :2]], axis=-1)


def refuse_no_corners(boxes_xyxy: ArrayLike, *, with_area: bool = False) -> None:
    """InputError where boxes (..., 4) of other programs are none: NaN, corners exchanged or, `with_area`, no area."""
    try:
        boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    except (ValueError, TypeError, OverflowError):  # of several lengths, or no numbers
        boxes = np.empty(0)
    if boxes.shape[-1:] != (4,) or not np.isfinite(boxes).all():
        raise InputError(f"a box is four finite numbers, got {boxes_xyxy!r:.100}")
    boxes = boxes.reshape(-1, 4)
    size = boxes[:, 2:] - boxes[:, :2]
    wrong = boxes[((size <= 0) if with_area else (size < 0)).any(axis=1)]
    if len(wrong):
        wanted = "x1 < x2 and y1 < y2" if with_area else "x1 <= x2 and y1 <= y2"
        raise InputError(f"a box's corners are {wanted}, got {wrong[0].tolist()}: order them, or turn x, y, width, "
                         "height into corners")  # fmt: skip


def box_area(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Areas (...,) of boxes (..., 4); an inverted box has area 0."""
    size = np.maximum(boxes_xyxy[..., 2:] - boxes_xyxy[..., :2], 0)
    return size[..., 0] * size[..., 1]


def box_iou(boxes_a: np.ndarray, boxes_b: np.ndarray) -> np.ndarray:
    """Intersection over union of every pair: boxes_xyxy (N, 4) and (M, 4) to (N, M) float64 in [0, 1].

    Two boxes without area have IoU 0.

    Example:
        >>> box_iou([[0, 0, 10, 10]], [[0, 0, 10, 5], [10, 0, 20, 10]])
        array([[0.5, 0. ]])
    """
    a = np.asarray(boxes_a, dtype=np.float64).reshape(-1, 4)
    b = np.asarray(boxes_b, dtype=np.float64).reshape(-1, 4)
    top_left = np.maximum(a[:, None, :2], b[None, :, :2])
    bottom_right = np.minimum(a[:, None, 2:], b[None, :, 2:])
    size = np.maximum(bottom_right - top_left, 0)
    intersection = size[..., 0] * size[..., 1]
    union = box_area(a)[:, None] + box_area(b)[None, :] - intersection
    return np.divide(intersection, union, out=np.zeros_like(intersection), where=union > 0)


def heatmap_of_boxes(boxes_xyxy: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 in [0, 1], a heatmap for a method that has none: each box (N, 4) is a dome, as high as its score
    (N,) is beside the first one's, which is the best, and half as high at its border."""
    heatmap = np.zeros(shape, dtype=np.float32)
    heights = scores / max(float(scores[0]), np.finfo(np.float32).tiny)
    for (x1, y1, x2, y2), high in zip(boxes_xyxy, heights, strict=True):
        columns, rows = _pixels_between(x1, x2, shape[1]), _pixels_between(y1, y2, shape[0])
        across, down = (
            # Less half a pixel, so that the pixel that holds the centre has the full height.
            np.maximum(np.abs(2 * (pixels + 0.5 - start) / (end - start) - 1) - 1 / (end - start), 0)
            if end > start
            else np.zeros(len(pixels))  # a box without extent is the pixel it lies in
            for pixels, start, end in ((columns, x1, x2), (rows, y1, y2))
        )
        dome = high * (1 - np.clip(np.maximum(across[None, :], down[:, None]), 0, 1) / 2)
        window = np.ix_(rows, columns)
        heatmap[window] = np.maximum(heatmap[window], dome)
    return heatmap


@dataclass(frozen=True)
class Letterbox:
    """The map between an image and the square the model sees: scaled to fit, centred, padded.

    The scale is kept per axis, because the resized image has a whole number of pixels; this makes
    image -> model -> image exact.

    Attributes:
        image_size: (width, height) of the original image in pixels.
        model_size: side of the model's square input in pixels.
        content_size: (width, height) in model pixels that the resized image fills.
        offset: (left, top) padding in model pixels.

    Example:
        >>> letterbox = Letterbox.fit((640, 480), 320)
        >>> letterbox.boxes_to_model([[0, 0, 640, 480]])
        array([[  0.,  40., 320., 280.]], dtype=float32)
    """

    image_size: tuple[int, int]
    model_size: int
    content_size: tuple[int, int]
    offset: tuple[int, int]

    @classmethod
    def fit(cls, image_size: tuple[int, int], model_size: int) -> Letterbox:
        """Of an image of (width, height) pixels, at least one each, in a square of `model_size` pixels."""
        width, height = image_size
        scale = model_size / max(width, height)
        content = (max(1, round(width * scale)), max(1, round(height * scale)))
        offset = ((model_size - content[0]) // 2, (model_size - content[1]) // 2)
        return cls((width, height), model_size, content, offset)

    @property
    def scale(self) -> np.ndarray:
        """(2,) float64: model pixels per image pixel along x and y."""
        return np.array(self.content_size, dtype=np.float64) / np.array(self.image_size, dtype=np.float64)

    def apply(self, image: np.ndarray) -> np.ndarray:
        """The resized and padded image: (H, W, 3) uint8 RGB to (model_size, model_size, 3) uint8.

        Resized as CLIP's own preprocessing does it: PIL's antialiased bicubic.
        """
        resized = Image.fromarray(image).resize(self.content_size, Image.Resampling.BICUBIC)
        canvas = np.empty((self.model_size, self.model_size, 3), dtype=np.uint8)
        canvas[:] = PADDING_RGB
        left, top = self.offset
        canvas[top : top + self.content_size[1], left : left + self.content_size[0]] = np.asarray(resized)
        return canvas

    def boxes_to_model(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Boxes (N, 4) in image pixels as (N, 4) float32 in model pixels."""
        scale, offset = np.tile(self.scale, 2), np.tile(self.offset, 2)
        return (np.asarray(boxes_xyxy, dtype=np.float64) * scale + offset).astype(np.float32)

    def valid_cells(self, stride: int) -> tuple[slice, slice]:
        """(rows, columns) of a stride-`stride` map whose cell centres lie on the image, never fewer than one."""
        columns, rows = (
            _cells_with_centre_inside(start, length, stride)
            for start, length in zip(self.offset, self.content_size, strict=True)
        )
        return rows, columns

    def valid_mask(self, stride: int) -> np.ndarray:
        """(model_size / stride, model_size / stride) bool: True where a cell shows image, False on padding."""
        cells = self.model_size // stride
        mask = np.zeros((cells, cells), dtype=bool)
        mask[self.valid_cells(stride)] = True
        return mask

    def map_to_image(self, values: np.ndarray) -> np.ndarray:
        """A square map over the model's input as one over the image, (H, W) float32, bilinear, without the padding."""
        stride = self.model_size // values.shape[0]
        rows, columns = self.valid_cells(stride)
        content = np.ascontiguousarray(values[rows, columns], dtype=np.float32)
        first_cell = np.array([columns.start, rows.start])
        # Pixel centre x + 0.5 of the image lies at cell coordinate ((x + 0.5) * scale + offset) / stride - 0.5.
        gain = self.scale / stride
        shift = (0.5 * self.scale + np.array(self.offset)) / stride - 0.5 - first_cell
        matrix = np.array([[gain[0], 0, shift[0]], [0, gain[1], shift[1]]])
        return cv2.warpAffine(
            content,
            matrix,
            self.image_size,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )


def _cells_with_centre_inside(start: int, length: int, stride: int) -> slice:
    first = -(-(2 * start - stride) // (2 * stride))  # ceil(start / stride - 1/2)
    last = (2 * (start + length) - stride - 1) // (2 * stride)  # the last centre strictly before the end
    if last < first:
        first = last = (2 * start + length) // (2 * stride)
    return slice(max(first, 0), last + 1)


def _pixels_between(start: float, end: float, length: int) -> np.ndarray:
    """Indices of the pixels whose centres lie in [start, end): never none, so that a thin box is seen too."""
    first, last = (int(np.ceil(edge - 0.5)) for edge in (start, end))
    if last <= first:
        first = int((start + end) / 2)
        last = first + 1
    return np.arange(max(0, min(first, length - 1)), min(last, length))


def hottest_point(heatmap: np.ndarray) -> tuple[float, float]:
    """(x, y) of the centre of the heatmap's first hottest pixel, in heatmap pixels."""
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    return float(column) + 0.5, float(row) + 0.5
