"""Pixels of a RefShapes scene: outlines, textures and backgrounds, drawn with OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

SUPERSAMPLING = 4


def shape_mask(shape: str, size: int, rotation: float) -> np.ndarray:
    """Coverage of one shape in a square patch.

    Args:
        shape: one of `vocabulary.SHAPES`.
        size: side of the patch in pixels; the unrotated shape spans nearly all of it.
        rotation: degrees, clockwise.

    Returns:
        (size, size) float32 in [0, 1], antialiased.
    """
    side = size * SUPERSAMPLING
    mask = np.zeros((side, side), dtype=np.uint8)
    radius, centre = 0.46 * side, (side - 1) / 2
    if shape in ("circle", "ring"):
        middle = (round(centre), round(centre))
        cv2.circle(mask, middle, round(radius), 255, -1)
        if shape == "ring":
            cv2.circle(mask, middle, round(0.55 * radius), 0, -1)
    else:
        angle = np.deg2rad(rotation)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = _outline(shape) @ turn.T * radius + centre
        cv2.fillPoly(mask, [np.round(points).astype(np.int32)], 255)
    return cv2.resize(mask, (size, size), interpolation=cv2.INTER_AREA).astype(np.float32) / 255


def textured_patch(texture: str, colour: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) float32 of one colour (3,), striped or dotted with a darker tone of it, lightly shaded."""
    patch = np.empty((size, size, 3), dtype=np.float32)
    patch[:] = colour
    rows, columns = np.mgrid[0:size, 0:size].astype(np.float32) / size
    period = rng.uniform(0.2, 0.27)
    phase = rng.uniform(0, 1, 2)
    if texture == "striped":
        angle = rng.uniform(0, np.pi)
        wave = (columns * np.cos(angle) + rows * np.sin(angle)) / period + phase[0]
        dark = np.clip((np.abs(wave % 1 - 0.5) - 0.25) * 12 + 0.5, 0, 1)
    elif texture == "dotted":
        u, v = columns / period + phase[0], rows / period + phase[1]
        distance = np.hypot(u % 1 - 0.5, v % 1 - 0.5)
        dark = np.clip((0.3 - distance) * 8 + 0.5, 0, 1)
    else:
        dark = np.zeros((size, size), dtype=np.float32)
    patch *= (1 - 0.62 * dark)[..., None]
    shading = 1 + 0.1 * rng.uniform(-1, 1) * (rows - 0.5) + 0.1 * rng.uniform(-1, 1) * (columns - 0.5)
    return np.clip(patch * shading[..., None], 0, 255)


def background(kind: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) float32 greyish background of the kind "gradient", "noise" or "clutter"."""
    corners = rng.uniform(60, 175, (2, 2, 1)) + rng.uniform(-14, 14, (2, 2, 3))
    image: np.ndarray = cv2.resize(corners.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    if kind == "noise":
        cells = int(rng.integers(1, 5))
        noise = rng.normal(0, 16, (-(-height // cells), -(-width // cells), 1)).astype(np.float32)
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_NEAREST)[..., None]
    elif kind == "clutter":
        for _ in range(int(rng.integers(8, 20))):
            tone = (rng.uniform(50, 185) + rng.uniform(-12, 12, 3)).tolist()
            start = (int(rng.integers(width)), int(rng.integers(height)))
            if rng.random() < 0.6:
                end = (int(rng.integers(width)), int(rng.integers(height)))
                cv2.line(image, start, end, tone, int(rng.integers(1, 3)), cv2.LINE_AA)
            else:
                cv2.circle(image, start, int(rng.integers(2, 7)), tone, -1, cv2.LINE_AA)
    return np.clip(image, 0, 255)


def _outline(shape: str) -> np.ndarray:
    """(N, 2) corner points of a shape in the unit circle, y down."""
    if shape == "square":
        return np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * 0.82
    if shape == "diamond":
        return np.array([[0, -1], [0.66, 0], [0, 1], [-0.66, 0]])
    if shape == "triangle":
        return np.array([[0, -0.92], [0.98, 0.8], [-0.98, 0.8]])
    if shape == "cross":
        arm = 0.33
        quarter = np.array([[-arm, -1], [arm, -1], [arm, -arm]])
        turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in np.arange(4) * np.pi / 2]
        return np.concatenate([quarter @ turn.T for turn in turns]) * 0.98
    if shape == "star":
        angles = np.arange(10) * np.pi / 5 - np.pi / 2
        radii = np.where(np.arange(10) % 2 == 0, 1.0, 0.42)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None]
    if shape == "heart":
        t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        x = 16 * np.sin(t) ** 3
        y = 13 * np.cos(t) - 5 * np.cos(2 * t) - 2 * np.cos(3 * t) - np.cos(4 * t)
        return np.stack([x / 17, -(y + 2.5) / 16], axis=1)
    raise ValueError(f"no outline for the shape {shape!r}")
