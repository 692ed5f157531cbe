"""Heatmaps and boxes drawn over a photograph: arrays in, an array out."""

from __future__ import annotations

import cv2
import matplotlib
import numpy as np

BOX_RGB = (255, 221, 51)
ANNOTATED_RGB = (64, 224, 96)


def heatmap_overlay(image: np.ndarray, heatmap: np.ndarray, *, opacity: float = 0.55) -> np.ndarray:
    """The heatmap in colour over the image, the more opaque the hotter.

    Args:
        image: (H, W, 3) uint8 RGB.
        heatmap: (H, W) float32 in [0, 1].
        opacity: of the hottest pixel.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    colours = matplotlib.colormaps["inferno"](heatmap)[..., :3] * 255
    share = (opacity * np.clip(heatmap, 0, 1))[..., None]
    # Darkening what is cold keeps the photograph readable and the heat visible on bright pictures.
    return (image * (1 - share) * (0.6 + 0.4 * heatmap[..., None]) + colours * share).astype(np.uint8)


def draw_boxes(
    image: np.ndarray, boxes_xyxy: np.ndarray, labels: list[str] | None = None, *, rgb: tuple[int, int, int] = BOX_RGB
) -> np.ndarray:
    """A copy of the image with outlined boxes and their labels.

    Args:
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) in pixels of the image.
        labels: N short texts, drawn on a plate at the box's upper left corner.
        rgb: colour of the outline.
    """
    canvas = np.ascontiguousarray(image).copy()
    height, width = canvas.shape[:2]
    thickness = max(1, round(min(height, width) / 200))
    scale = max(0.35, min(height, width) / 900)
    for index, box in enumerate(boxes_xyxy):
        x1, y1, x2, y2 = (round(float(value)) for value in box)
        cv2.rectangle(canvas, (x1, y1), (x2 - 1, y2 - 1), rgb, thickness)
        if labels is None:
            continue
        (text_width, text_height), baseline = cv2.getTextSize(labels[index], cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
        left = min(max(x1, 0), max(width - text_width - 4, 0))
        bottom = max(y1, text_height + baseline + 2)
        plate = (left, bottom - text_height - baseline - 2), (left + text_width + 4, bottom)
        cv2.rectangle(canvas, *plate, rgb, -1)
        cv2.putText(canvas, labels[index], (left + 2, bottom - baseline), cv2.FONT_HERSHEY_SIMPLEX, scale,
                    (20, 20, 20), 1, cv2.LINE_AA)  # fmt: skip
    return canvas
