"""The rectangle with the most evidence: heat above a share of the maximum speaks for a box, heat below against it.

Lampert et al. 2008, "Beyond Sliding Windows: Object Localization by Efficient Subwindow Search", ask for the same
maximum by branch and bound. A heatmap comes from a coarse grid, so here the search is exhaustive: Kadane's maximal
subarray (Bentley 1984, "Programming Pearls: Algorithm Design Techniques") over every pair of rows of the map reduced
to `CELLS` a side. Each edge is then moved by single pixels within a cell or so, which is where most of the gain is.
"""

from __future__ import annotations

import numpy as np

from grounding.extraction.components import checked, reduced

CELLS = 64
NEGLIGIBLE = 0.02  # of the first rectangle's evidence: what is left then are fringes of rectangles found before
ROUNDS = 8  # of moving the edges; two or three are the rule


def rectangles_from_heatmap(
    heatmap: np.ndarray, *, offset: float = 0.5, count: int = 5
) -> tuple[np.ndarray, np.ndarray]:
    """Up to `count` rectangles, each the one with the most evidence once the heat in those before it is taken away.

    The evidence of a pixel is its heat less `offset` times the heatmap's maximum. A box's score is the share of all
    positive evidence that it gathers, times the maximum. Of a map without heat, the box is all of it.
    """
    heatmap = checked(heatmap)
    height, width = heatmap.shape
    highest = float(heatmap.max())
    if highest <= 0:
        return np.array([[0, 0, width, height]], dtype=np.float32), np.zeros(1, dtype=np.float32)
    evidence = heatmap - np.float32(offset * highest)
    positive = float(np.maximum(evidence, 0).sum(dtype=np.float64))
    boxes: list[np.ndarray] = []
    gathered: list[float] = []
    while len(boxes) < count:
        cells = reduced(evidence, CELLS)
        scale = np.tile([width / cells.shape[1], height / cells.shape[0]], 2)
        coarse, _ = best_rectangle(cells)
        box = _with_moved_edges(evidence, np.rint(coarse * scale).astype(int), reach=int(np.ceil(scale.max())) + 1)
        x1, y1, x2, y2 = box
        sum_inside = float(evidence[y1:y2, x1:x2].sum(dtype=np.float64))
        if boxes and sum_inside <= NEGLIGIBLE * gathered[0]:
            break
        boxes.append(box)
        gathered.append(sum_inside)
        evidence[y1:y2, x1:x2] = -offset * highest
    order = np.argsort(-np.array(gathered), kind="stable")
    scores = highest * np.clip(np.array(gathered)[order] / positive, 0, 1)
    return np.array(boxes, dtype=np.float32)[order], scores.astype(np.float32)


def best_rectangle(evidence: np.ndarray) -> tuple[np.ndarray, float]:
    """The rectangle of the highest sum, exactly: (4,) int xyxy in cells, x2/y2 exclusive, and its sum.

    Time and memory grow with h * h * w of the evidence (h, w).
    """
    height, width = evidence.shape
    down = np.zeros((height + 1, width))
    np.cumsum(evidence, axis=0, dtype=np.float64, out=down[1:])
    top, bottom = np.triu_indices(height + 1, k=1)
    along = np.zeros((len(top), width + 1))
    np.cumsum(down[bottom] - down[top], axis=1, out=along[:, 1:])
    # The best run that ends at a column: its sum up to there, less the lowest sum before.
    best_ending = along[:, 1:] - np.minimum.accumulate(along[:, :-1], axis=1)
    pair, last = divmod(int(best_ending.argmax()), width)
    first = int(along[pair, : last + 1].argmin())
    return np.array([first, top[pair], last + 1, bottom[pair]]), float(best_ending[pair, last])


def _with_moved_edges(evidence: np.ndarray, box: np.ndarray, reach: int) -> np.ndarray:
    """The box (4,) int with one edge after another where the sum is highest within `reach` pixels, until none moves."""
    height, width = evidence.shape
    x1, y1, x2, y2 = (int(edge) for edge in box)
    x1, y1 = min(x1, width - 1), min(y1, height - 1)
    x2, y2 = max(x2, x1 + 1), max(y2, y1 + 1)
    for _ in range(ROUNDS):
        before = (x1, y1, x2, y2)
        left, right = max(x1 - reach, 0), min(x2 + reach, width)
        x1, x2 = _best_ends(evidence[y1:y2, left:right].sum(axis=0, dtype=np.float64), x1, x2, left, reach)
        above, below = max(y1 - reach, 0), min(y2 + reach, height)
        y1, y2 = _best_ends(evidence[above:below, x1:x2].sum(axis=1, dtype=np.float64), y1, y2, above, reach)
        if before == (x1, y1, x2, y2):
            break
    return np.array([x1, y1, x2, y2])


def _best_ends(lines: np.ndarray, start: int, end: int, first_line: int, reach: int) -> tuple[int, int]:
    """The run [start, end) with its start, then its end, where the sum of `lines` is highest, each within `reach`."""
    before = np.concatenate([[0], lines.cumsum()])
    start, end = start - first_line, end - first_line
    low, high = max(start - reach, 0), min(start + reach, end - 1)
    start = low + int(before[low : high + 1].argmin())
    low, high = max(end - reach, start + 1), min(end + reach, len(lines))
    end = low + int(before[low : high + 1].argmax())
    return start + first_line, end + first_line
