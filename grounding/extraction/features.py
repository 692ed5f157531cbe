"""What can be seen of a box on a heatmap: numbers from which a network tells how well the box is drawn."""

from __future__ import annotations

import numpy as np

from grounding.extraction.heat import CELLS, BoxSums, mean_around, reduced
from grounding.extraction.multi_threshold import distinct_boxes
from grounding.extraction.rectangle import rectangles_from_heatmap
from grounding.geometry import box_area

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the regions among the candidates
OFFSETS = (0.4, 0.45, 0.5, 0.55, 0.6)  # of the rectangles among them
MASKS = (0.25, 0.5, 0.75)  # shares of the maximum at which the box is held against a mask
STRIP = 0.15  # of a box's side: how wide the strips along its edges are
FEATURES = 16 + len(MASKS)


def candidate_boxes(heatmap: np.ndarray) -> np.ndarray:
    """(N, 4) float32 boxes of several thresholds and offsets, in heatmap pixels; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    regions, _ = distinct_boxes(heatmap, levels=LEVELS)
    rectangles = [rectangles_from_heatmap(heatmap, offset=offset, count=1)[0] for offset in OFFSETS]
    return np.unique(np.concatenate([regions, *rectangles]), axis=0)


def box_features(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """What the heatmap shows of each box.

    Peak of the map, mean inside, mean of the surroundings; means of a strip inside and one outside of each edge (left,
    top, right, bottom); the overlap with the heatmap taken as a soft mask, and with the masks above `MASKS` of the
    peak; the box's share of all heat; log of its share of the image, log of its shape, and its shorter side in logs of
    the table's cells.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        boxes_xyxy: (N, 4) in heatmap pixels, each of some area.

    Returns:
        (N, FEATURES) float32, finite.
    """
    size = (heatmap.shape[1], heatmap.shape[0])
    cells = reduced(heatmap, CELLS)
    peak = float(heatmap.max())
    boxes = np.asarray(boxes_xyxy, dtype=np.float64)
    heat = BoxSums(cells, size)
    area = box_area(boxes)
    inside = heat.sums(boxes)
    strips = [_mean_of_strip(heat, boxes, edge, outside=outside) for outside in (False, True) for edge in range(4)]
    masks = [BoxSums((cells >= level * peak).astype(np.float32), size) for level in MASKS]
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    columns = [
        np.full(len(boxes), peak),
        inside / area,
        mean_around(heat, boxes),
        *strips,
        *(_overlap(mask.sums(boxes), area, mask.total) for mask in (heat, *masks)),
        inside / max(heat.total, 1e-6),
        np.log(area / (size[0] * size[1])),
        np.log(width / height),
        np.log(np.minimum(width, height) * cells.shape[1] / size[0]),
    ]
    return np.stack(columns, axis=1).astype(np.float32)


def _overlap(inside: np.ndarray, area: np.ndarray, total: float) -> np.ndarray:
    """(N,) IoU of boxes with a mask whose values say how much of each pixel it covers."""
    return inside / (area + total - inside)


def _mean_of_strip(heat: BoxSums, boxes: np.ndarray, edge: int, *, outside: bool) -> np.ndarray:
    """(N,) mean along an edge (0 to 3: x1, y1, x2, y2), a strip of `STRIP` of the side; 0 outside of the image."""
    axis = edge % 2
    side = boxes[:, axis + 2] - boxes[:, axis]
    # Away from the middle of the box for a strip outside, towards it for one inside.
    step = STRIP * side * (1 if (edge >= 2) == outside else -1)
    strip = boxes.copy()
    strip[:, axis] = np.minimum(boxes[:, edge], boxes[:, edge] + step)
    strip[:, axis + 2] = np.maximum(boxes[:, edge], boxes[:, edge] + step)
    strip = np.clip(strip, 0, np.tile(heat.size, 2))
    area = box_area(strip)
    return np.divide(heat.sums(strip), area, out=np.zeros(len(boxes)), where=area > 1e-9)
