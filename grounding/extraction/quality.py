"""A small network that tells how well a box fits the object from what the heatmap shows of it.

As detectors rank boxes by a predicted IoU (Jiang et al. 2018, "Acquisition of Localization Confidence for Accurate
Object Detection", section 3.1), and not by how sure they are of the object.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip.precision import own_mode
from grounding.extraction.components import (
    CELLS,
    BoxSums,
    distinct_boxes,
    mean_around,
    reduced,
    without_duplicates,
)
from grounding.extraction.rectangle import rectangles_from_heatmap
from grounding.geometry import box_area

LEVELS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)  # of the regions among the candidates
OFFSETS = (0.4, 0.45, 0.5, 0.55, 0.6)  # of the rectangles among them
MASKS = (0.25, 0.5, 0.75)  # shares of the maximum at which the box is held against a mask
STRIP = 0.15  # of a box's side: how wide the strips along its edges are
FEATURES = 16 + len(MASKS)
WIDTH = 64  # of the network
STEPS = 1500  # of fitting it
ROWS_PER_STEP = 1024
LEARNING_RATE = 2e-3


def candidate_boxes(heatmap: np.ndarray) -> np.ndarray:
    """(N, 4) float32 boxes of several thresholds and offsets, in heatmap pixels; N >= 1."""
    regions, _ = distinct_boxes(heatmap, levels=LEVELS)
    rectangles = [rectangles_from_heatmap(heatmap, offset=offset, count=1)[0] for offset in OFFSETS]
    return np.unique(np.concatenate([regions, *rectangles]), axis=0)


def box_features(heatmap: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """(N, FEATURES) float32, finite: what the heatmap (H, W) shows of each box (N, 4), which has an area.

    Peak of the map, mean inside, mean of the surroundings; means of a strip inside and one outside of each edge (left,
    top, right, bottom); the overlap with the heatmap taken as a soft mask, and with the masks above `MASKS` of the
    peak; the box's share of all heat; log of its share of the image, log of its shape, and its shorter side in logs of
    the table's cells.
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


class BoxQualityHead(nn.Module):
    """Features of boxes (N, FEATURES) to the logits (N,) of their IoU with the annotated box."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N,) logits."""
        return self.layers((features - self.mean) / self.std)[:, 0]


@own_mode()
def boxes_by_quality(heatmap: np.ndarray, head: BoxQualityHead) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of several thresholds and offsets, scored by the IoU that the head, on the CPU, expects of them."""
    boxes = candidate_boxes(heatmap)
    expected = head(torch.from_numpy(box_features(heatmap, boxes))).sigmoid().numpy()
    return without_duplicates(boxes, expected)


def fit_quality_head(features: np.ndarray, ious: np.ndarray, *, seed: int = 0) -> BoxQualityHead:
    """A head fitted to R boxes of which features (R, FEATURES) and IoU (R,) are known; the same for the same seed."""
    rows, wanted = torch.from_numpy(features), torch.from_numpy(ious.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = BoxQualityHead()
        head.mean.copy_(rows.mean(dim=0))
        head.std.copy_(rows.std(dim=0, correction=0).clamp(min=1e-3))
        optimizer = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for _ in range(STEPS):
            drawn = torch.randint(len(rows), (min(ROWS_PER_STEP, len(rows)),))
            # Cross-entropy with the IoU as a soft target has its minimum where the sigmoid is the expected IoU.
            loss = F.binary_cross_entropy_with_logits(head(rows[drawn]), wanted[drawn])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval().requires_grad_(False)
