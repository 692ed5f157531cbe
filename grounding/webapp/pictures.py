"""Pictures of answers: the heatmap of one phrase or of all over the photo, and every phrase's boxes in its colour."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from grounding.drawing import BOX_COLOUR, DPI, clear_figure, draw_boxes, heatmap_overlay, keep_labels_inside, laid_over
from grounding.webapp.choices import Found

# Okabe and Ito's, less black, which the rims are drawn in; one per phrase that may be asked at once.
COLOURS = (BOX_COLOUR, "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
SHOWN_SIDE = 800  # pixels of the longer side on the page: few enough to be drawn at once, enough for legible labels
LARGEST_SAVED_SIDE = 1600
LABEL_LENGTH = 26  # letters of a phrase on a label
JPEG_QUALITY = 90


def draw(image: np.ndarray, found: Sequence[Found], *, heat_of: int | None, opacity: float, side: int) -> np.ndarray:
    """The picture that is shown or saved; lines and letters are the same share of it at every size.

    Args:
        image: (H, W, 3) uint8 RGB.
        found: per phrase, heatmap and boxes in pixels of the image; none for the photo alone.
        heat_of: index of the phrase whose heatmap lies over the photo; None for the maximum of all.
        opacity: of the heatmap, in [0, 1].
        side: pixels of the picture's longer side.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = _resized(image, size)
    if found and opacity:
        heatmaps = [one.heatmap for one in (found if heat_of is None else [found[heat_of]])]
        heat = np.maximum.reduce([_resized(heatmap, size) for heatmap in heatmaps])
        picture = heatmap_overlay(picture, heat, opacity=opacity)
    figure, axis = clear_figure(size, dpi=DPI * side / SHOWN_SIDE)
    to_picture = np.tile([size[0] / width, size[1] / height], 2)
    for index, one in reversed(list(enumerate(found))):  # the first phrase's lie on top
        for rank, box in reversed(list(enumerate(one.boxes_xyxy))):
            label = f"{index + 1} {one.scores[rank]:.2f}" if rank else _first_label(index, one)
            draw_boxes(axis, box[None] * to_picture, [label], colour=COLOURS[index],
                       linewidth=1.2 if rank else 2.2, fontsize=8 if rank else 9)  # fmt: skip
    keep_labels_inside(figure)
    return laid_over(picture, figure)


def saved_side(image: np.ndarray) -> int:
    """Pixels of the longer side in a saved picture: the photo's own, within reason."""
    return int(np.clip(max(image.shape[:2]), SHOWN_SIDE, LARGEST_SAVED_SIDE))


def as_jpeg(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 RGB as a JPEG file: several times quicker to write than a PNG."""
    return _encoded(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])


def as_png(picture: np.ndarray) -> bytes:
    """A picture (H, W, 3) uint8 RGB as a PNG file."""
    return _encoded(".png", picture, [])


def shortened(phrase: str, length: int = LABEL_LENGTH) -> str:
    """The phrase, cut to so many letters with an ellipsis where it is longer."""
    return phrase if len(phrase) <= length else f"{phrase[: length - 1].rstrip()}…"


def _first_label(index: int, found: Found) -> str:
    return f"{index + 1} {shortened(found.phrase)} {found.scores[0]:.2f}"


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image or a map at another size: averaged where it shrinks, smooth where it grows."""
    smaller = size[0] < values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)


def _encoded(suffix: str, picture: np.ndarray, options: list[int]) -> bytes:
    return cv2.imencode(suffix, picture[..., ::-1], options)[1].tobytes()
