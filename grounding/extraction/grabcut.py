"""Boxes that follow the image: GrabCut grows the hot part of a heatmap to the object that it lies on.

Rother et al. 2004, "GrabCut: Interactive Foreground Extraction using Iterated Graph Cuts", section 3; OpenCV's, with
the heatmap in the place of the user's rectangle and strokes.
"""

from __future__ import annotations

import cv2
import numpy as np

from grounding.extraction.components import boxes_from_heatmap, checked
from grounding.geometry import box_iou

SIDE = 160  # pixels of the longer side at which the image is cut: the time grows with its square
SURE, LIKELY, SURELY_NOT = 0.9, 0.6, 0.3  # shares of the heatmap's range, from its lowest value to its highest
ROUNDS = 2  # of re-estimating the colours of object and background
FEWEST = 3  # pixels of object and of background that GrabCut can start from
DOTS = np.ones((3, 3), np.uint8)  # what is smaller than this is no part of an object
SEED = 0  # of OpenCV's k-means: the same boxes every time


def boxes_by_grabcut(image: np.ndarray, heatmap: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes of the parts that GrabCut takes for the object, and scores, as `extract` has them.

    A score says how far a part's box agrees, by IoU, with that of the hottest region in the heatmap alone. Where
    GrabCut finds no object, the boxes are those of what is likely, which nothing agrees with: their scores are 0.
    """
    heatmap = checked(heatmap)
    if image.shape != (*heatmap.shape, 3):
        raise ValueError(f"the image is {image.shape} and the heatmap {heatmap.shape}: give both in the same size")
    height, width = heatmap.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(scale * width)), max(1, round(scale * height))
    heat = cv2.resize(heatmap, size, interpolation=cv2.INTER_AREA)
    heat = (heat - heat.min()) / max(float(np.ptp(heat)), 1e-6)
    cut = _foreground(cv2.resize(image, size, interpolation=cv2.INTER_AREA), heat)
    count, _, stats, _ = cv2.connectedComponentsWithStats(cut, connectivity=4)
    likely, _ = boxes_from_heatmap(heatmap, relative_threshold=LIKELY)
    if count == 1:  # the background alone
        return likely, np.zeros(len(likely), np.float32)
    left, top, wide, high = stats[1:, :4].T  # label 0 is the background; then cv2.CC_STAT_LEFT, TOP, WIDTH, HEIGHT
    boxes = np.stack([left, top, left + wide, top + high], axis=1) * (np.array([width, height] * 2) / np.tile(size, 2))
    scores = box_iou(boxes, likely[:1])[:, 0]
    order = np.argsort(-scores, kind="stable")
    return boxes[order].astype(np.float32), scores[order].astype(np.float32)


def _foreground(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """(h, w) uint8, 1 where the object is; nothing of it where the heat has too little to start from."""
    marks = np.full(heat.shape, cv2.GC_PR_BGD, np.uint8)
    marks[heat < SURELY_NOT] = cv2.GC_BGD
    marks[heat > LIKELY] = cv2.GC_PR_FGD
    marks[heat > SURE] = cv2.GC_FGD
    if (marks == cv2.GC_FGD).sum() < FEWEST or (marks == cv2.GC_BGD).sum() < FEWEST:
        return np.zeros(heat.shape, np.uint8)
    cv2.setRNGSeed(SEED)
    colours = np.zeros((2, 1, 65))  # OpenCV's two mixtures of five Gaussians
    no_rectangle = (0, 0, 0, 0)
    cv2.grabCut(image, marks, no_rectangle, colours[0], colours[1], ROUNDS, cv2.GC_INIT_WITH_MASK)
    inside = ((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD)).astype(np.uint8)
    return cv2.morphologyEx(inside, cv2.MORPH_OPEN, DOTS)
