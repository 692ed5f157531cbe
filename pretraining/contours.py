"""Outlines of the catalogue's things: other renderings of the shapes than RefShapes has, each a little different."""

from __future__ import annotations

import numpy as np


def contours(shape: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Outer edge and holes of one rendering of a shape, (N, 2) each within about [-1, 1]; y points down."""

    def arc(start: float, stop: float, radius: float, x: float = 0.0, y: float = 0.0, n: int = 24) -> np.ndarray:
        angle = np.linspace(start, stop, n) * 2 * np.pi
        return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)

    def spikes(points: int, inner: float) -> np.ndarray:
        angle = np.arange(2 * points) * np.pi / points - np.pi / 2
        radius = np.where(np.arange(2 * points) % 2, inner, 1.0)
        return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)

    def mirrored(half: list[tuple[float, float]]) -> np.ndarray:
        right = np.array(half)
        return np.concatenate([right, right[::-1] * [-1, 1]])

    match shape:
        case "circle":
            return [arc(0, 1, 1.0)]
        case "ring":
            return [arc(0, 1, 1.0), arc(0, 1, rng.uniform(0.45, 0.75))]
        case "square":
            corner = rng.uniform(0, 0.25)
            return [mirrored([(0.9 - corner, -0.9), (0.9, -0.9 + corner), (0.9, 0.9 - corner), (0.9 - corner, 0.9)])]
        case "triangle":
            return [mirrored([(0.0, -1.0), (rng.uniform(0.75, 1.05), 0.75)])]
        case "star":
            return [spikes(int(rng.choice([5, 5, 5, 4, 6])), rng.uniform(0.36, 0.52))]
        case "cross":
            arm = rng.uniform(0.22, 0.4)
            return [mirrored([(arm, -1.0), (arm, -arm), (1.0, -arm), (1.0, arm), (arm, arm), (arm, 1.0)])]
        case "heart":
            dip = rng.uniform(-0.55, -0.35)
            lobe = [(0.0, dip), *map(tuple, arc(0.56, 1.04, 0.5, 0.48, -0.4, 14)), (0.0, 0.95)]
            return [mirrored(lobe)]
        case "diamond":
            return [mirrored([(0.0, -1.0), (rng.uniform(0.55, 0.8), 0.0), (0.0, 1.0)])]
        case "hexagon":
            return [spikes(3, 1.0)]
        case "crescent":
            thickness = rng.uniform(0.3, 0.5)
            bow = arc(0.12, 0.88, 1.0)
            inner = np.stack([bow[::-1, 0] * (1 - thickness) + thickness * 0.73, bow[::-1, 1] * 0.97], axis=1)
            return [np.concatenate([bow, inner])]
        case "arrow":
            shaft, neck = rng.uniform(0.15, 0.32), rng.uniform(-0.05, 0.35)
            upper = [(1.0, 0.0), (neck, -0.75), (neck, -shaft), (-1.0, -shaft)]
            return [np.array(upper + [(x, -y) for x, y in upper[::-1]])]
        case "drop":
            return [np.concatenate([arc(-0.06, 0.56, 0.66, 0.0, 0.34), [[0.0, -1.0]]])]
        case "flower":
            petals, depth = int(rng.integers(5, 8)), rng.uniform(0.15, 0.32)
            angle = np.linspace(0, 2 * np.pi, 60, endpoint=False)
            radius = 1 - depth + depth * np.cos(petals * angle)
            return [np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)]
        case "leaf":
            x = np.linspace(-0.9, 0.9, 16)
            bulge = rng.uniform(0.35, 0.55) * (1 - (x / 0.9) ** 2) * (1 - 0.25 * x)
            stem = [[1.0, 0.04], [1.3, 0.04], [1.3, -0.04], [1.0, -0.04]]
            return [np.concatenate([np.stack([x, bulge], 1), stem, np.stack([x[::-1], -bulge[::-1]], 1)]) * 0.85]
        case "house":
            eaves = rng.uniform(-0.25, 0.05)
            walls = rng.uniform(0.6, 0.85)
            return [mirrored([(0.0, -1.0), (1.0, eaves), (walls, eaves), (walls, 0.95)])]
        case "fish":
            body = arc(0.08, 0.92, 1.0) * [0.68, rng.uniform(0.4, 0.56)] - [0.3, 0]
            tail = rng.uniform(0.4, 0.6)
            return [np.concatenate([body, [[0.95, -tail], [0.75, 0.0], [0.95, tail]]])]
    raise ValueError(f"no contour for the shape {shape!r}")
