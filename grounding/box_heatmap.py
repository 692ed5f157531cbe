"""A heatmap for a method that answers with boxes and has none."""

from __future__ import annotations

import numpy as np


def heatmap_of_boxes(boxes_xyxy: np.ndarray, scores: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A heatmap for a method that has none: each box a dome as high as its score is beside the best one's.

    At its border a dome has half its height. The hottest point is the centre of the best box, and the mass is shared
    out among the boxes by score and area.

    Args:
        boxes_xyxy: (N, 4), best-scored first.
        scores: (N,) in [0, 1].
        shape: (height, width) of the image.

    Returns:
        (H, W) float32 in [0, 1]; the maximum is 1 unless all scores are 0.
    """
    heatmap = np.zeros(shape, dtype=np.float32)
    heights = scores / max(float(scores[0]), np.finfo(np.float32).tiny)
    for (x1, y1, x2, y2), high in zip(boxes_xyxy, heights, strict=True):
        columns, rows = _pixels(x1, x2, shape[1]), _pixels(y1, y2, shape[0])
        across, down = (
            # Less half a pixel, so that the pixel that holds the centre has the full height.
            np.maximum(np.abs(2 * (pixels + 0.5 - start) / (end - start) - 1) - 1 / (end - start), 0)
            for pixels, start, end in ((columns, x1, x2), (rows, y1, y2))
        )
        dome = high * (1 - np.clip(np.maximum(across[None, :], down[:, None]), 0, 1) / 2)
        window = np.ix_(rows, columns)
        heatmap[window] = np.maximum(heatmap[window], dome)
    return heatmap


def _pixels(start: float, end: float, length: int) -> np.ndarray:
    """Indices of the pixels whose centres lie in [start, end): never none, so that a thin box is seen too."""
    first, last = (int(np.ceil(edge - 0.5)) for edge in (start, end))
    if last <= first:
        first = int((start + end) / 2)
        last = first + 1
    return np.arange(max(0, min(first, length - 1)), min(last, length))
