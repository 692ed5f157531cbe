"""How the catalogue's things are drawn, as clip art has them: outlines unlike RefShapes', patterns, shine, relief."""

from __future__ import annotations

import cv2
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


def patterned(texture: str, colour: np.ndarray, side: int, reach: float, rng: np.random.Generator) -> np.ndarray:
    """(side, side, 3) float32: the colour with a pattern of lines or spots drawn over it, mostly white or dark."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = colour
    if texture == "plain":
        return canvas
    ink = colour * rng.uniform(0.15, 0.5) if colour.mean() > 110 or rng.random() < 0.3 else colour * 0.2 + 200
    ink = (colour + (ink - colour) * rng.uniform(0.6, 1)).tolist()
    step = max(reach * rng.uniform(0.22, 0.4), 3)
    count = int(2.9 * side / step)
    width = max(1, round(step * 0.45))
    if texture == "striped":
        for index in range(-count, count):
            at = round(index * step)
            cv2.line(canvas, (at, 0), (at + side // 3, side), ink, width)
    elif texture == "dotted":
        for u, v in np.argwhere(np.ones((count // 2, count // 2))) * step:
            shift = rng.uniform(-0.15, 0.15, 2) * step
            cv2.circle(canvas, (round(u + shift[0]), round(v + shift[1])), max(1, round(step * 0.28)), ink, -1)
    elif texture == "checked":
        rows, columns = np.mgrid[0:side, 0:side] // max(int(step * 0.7), 2)
        canvas[(rows + columns) % 2 == 0] = ink
    elif texture == "zigzag":
        for index in range(-1, count):
            x = np.arange(0, side + step, step / 2)
            y = index * step + (np.arange(len(x)) % 2) * step * 0.6
            cv2.polylines(canvas, [np.stack([x, y], 1).astype(np.int32)], False, ink, max(1, width // 2 + 1))
    else:  # marbled: wandering veins
        for _ in range(max(count, 10)):
            walk = np.cumsum(rng.normal(0, step * 0.8, (10, 2)), axis=0) + rng.uniform(0, side, 2)
            cv2.polylines(canvas, [walk.astype(np.int32)], False, ink, max(1, width // 2), cv2.LINE_AA)
        cv2.blur(canvas, (3, 3), dst=canvas)
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.uniform(0, 180)), 1.0)
    turned: np.ndarray = cv2.warpAffine(canvas, matrix, (side, side), borderMode=cv2.BORDER_REFLECT)
    return turned


def shine(
    image: np.ndarray, mask: np.ndarray, centre: tuple[float, float], reach: float, rng: np.random.Generator,
    *, strong: bool,
) -> None:  # fmt: skip
    """White reflections inside the mask: ellipses and streaks, as icons have them."""
    gloss = np.zeros_like(mask)
    for _ in range(2 if strong else 1):
        x, y = np.array(centre) + rng.uniform(-0.55, 0.1, 2) * reach
        axes = (max(1, round(reach * rng.uniform(0.12, 0.4))), max(1, round(reach * rng.uniform(0.05, 0.14))))
        cv2.ellipse(gloss, (round(x), round(y)), axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    size = max(1, round(0.06 * reach)) * 2 + 1
    gloss = cv2.blur(gloss, (size, size)) * mask * (0.9 if strong else 0.55)
    image += (255 - image) * gloss[..., None]
    if strong:
        image *= 1 + 0.25 * mask[..., None] * np.linspace(1, -1, len(mask), dtype=np.float32)[:, None, None]


def drop_shadow(image: np.ndarray, mask: np.ndarray, reach: float, rng: np.random.Generator) -> None:
    """Darken what lies beside a mask (H, W), as if it floated above; the image changes."""
    shift = np.array([[1, 0, rng.uniform(-0.2, 0.2) * reach], [0, 1, rng.uniform(0.02, 0.25) * reach]])
    size = max(1, round(rng.uniform(0.05, 0.2) * reach)) * 2 + 1
    dark = cv2.GaussianBlur(cv2.warpAffine(mask, shift, mask.shape[::-1]), (size, size), 0)
    image *= 1 - rng.uniform(0.2, 0.6) * dark[..., None]


def embossed(mask: np.ndarray, reach: float, rng: np.random.Generator) -> np.ndarray:
    """(H, W) float32: light on one edge of the mask and dark on the opposite one."""
    size = max(1, round(rng.uniform(0.08, 0.22) * reach)) * 2 + 1
    soft = cv2.GaussianBlur(mask, (size, size), 0)
    direction = rng.uniform(-2.8, -0.3)
    x, y = 0.5 * size * np.cos(direction), 0.5 * size * np.sin(direction)
    nearer, farther = (
        cv2.warpAffine(soft, np.array([[1, 0, sign * x], [0, 1, sign * y]]), mask.shape[::-1]) for sign in (1, -1)
    )
    return (farther - nearer) * rng.uniform(-0.7, -0.2)
