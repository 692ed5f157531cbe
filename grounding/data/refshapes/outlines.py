"""Outlines of the sixteen shapes, as polygons in the unit square's coordinates, and their coverage in pixels."""

from __future__ import annotations

import cv2
import numpy as np

FRACTION_BITS = 4  # of the corner positions that OpenCV takes


def outline(shape: str) -> np.ndarray:
    """(N, 2) corner points of a shape, each coordinate about within [-1, 1], x right and y down.

    A ring's outline is its outer edge; `coverage` cuts the hole.
    """
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    match shape:
        case "circle" | "ring":
            return circle
        case "square":
            return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.85
        case "diamond":
            return np.array([[0, -1], [0.68, 0], [0, 1], [-0.68, 0]])
        case "triangle":
            return np.array([[0, -0.92], [0.98, 0.8], [-0.98, 0.8]])
        case "hexagon":
            return _polar(np.ones(6))
        case "star":
            return _polar(np.tile([1.0, 0.42], 5))
        case "cross":
            arm = 0.34
            quarter = np.array([[-arm, -1], [arm, -1], [arm, -arm]])
            return np.concatenate([quarter @ _rotation(90 * number) for number in range(4)])
        case "heart":
            x = 16 * np.sin(turn) ** 3
            y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
            return np.stack([x / 17, -(y + 2.5) / 16], axis=1)
        case "crescent":
            outer = np.deg2rad(np.linspace(50, 310, 30))
            inner = np.deg2rad(np.linspace(295, 65, 24))
            x = np.concatenate([np.cos(outer), 0.36 + 0.84 * np.cos(inner)])
            y = np.concatenate([np.sin(outer), 0.84 * np.sin(inner)])
            return np.stack([x + 0.2, y], axis=1)
        case "arrow":
            return np.array([[1, 0], [0.2, -0.72], [0.2, -0.28], [-1, -0.28], [-1, 0.28], [0.2, 0.28], [0.2, 0.72]])
        case "drop":
            round_part = np.deg2rad(np.linspace(-30, 210, 36))
            points = np.stack([0.62 * np.cos(round_part), 0.36 + 0.62 * np.sin(round_part)], axis=1)
            return np.concatenate([points, [[0, -1]]])
        case "flower":
            return circle * (0.74 + 0.26 * np.cos(5 * turn + np.pi / 2))[:, None]
        case "leaf":
            along = np.linspace(-1, 1, 24)
            width = 0.46 * np.cos(along * np.pi / 2)
            stem = np.array([[1.0, -0.05], [1.25, -0.05], [1.25, 0.05]])
            upper, lower = np.stack([along, -width], axis=1), np.stack([along[::-1], width[::-1]], axis=1)
            return np.concatenate([upper, stem, lower]) * [0.8, 1] - [0.1, 0]
        case "house":
            return np.array([[-0.7, 0.9], [-0.7, -0.1], [-1, -0.1], [0, -0.95], [1, -0.1], [0.7, -0.1], [0.7, 0.9]])
        case "fish":
            body = np.deg2rad(np.linspace(25, 335, 36))
            points = np.stack([-0.25 + 0.72 * np.cos(body), 0.5 * np.sin(body)], axis=1)
            return np.concatenate([points, [[0.98, -0.55], [0.8, 0], [0.98, 0.55]]])
    raise ValueError(f"no outline for the shape {shape!r}")


def coverage(shape: str, size: int, rotation: float, aspect: float) -> np.ndarray:
    """Which pixels of a square patch a shape covers.

    Args:
        shape: one of `vocabulary.SHAPES`.
        size: side of the patch in pixels; the shape spans about nine tenths of it.
        rotation: degrees, clockwise.
        aspect: width by height of the shape before it is turned; the longer one keeps its length.

    Returns:
        (size, size) uint8, 255 where it covers a pixel, with smooth edges.
    """
    stretch = np.array([min(aspect, 1), min(1 / aspect, 1)])
    mask = np.zeros((size, size), dtype=np.uint8)
    edges = [outline(shape)] + ([0.55 * outline(shape)] if shape == "ring" else [])
    for points, value in zip(edges, (255, 0), strict=False):
        corners = (points * stretch) @ _rotation(rotation) * 0.45 * size + (size - 1) / 2
        cv2.fillPoly(mask, [np.round(corners * 2**FRACTION_BITS).astype(np.int32)], value, cv2.LINE_AA, FRACTION_BITS)
    return mask


def _polar(radii: np.ndarray) -> np.ndarray:
    angles = np.arange(len(radii)) * 2 * np.pi / len(radii) - np.pi / 2
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]


def _rotation(degrees: float) -> np.ndarray:
    """(2, 2) matrix for points as rows; clockwise, since y points down."""
    angle = np.deg2rad(degrees)
    return np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
