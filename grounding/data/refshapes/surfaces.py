"""How objects of a RefShapes scene are painted: outline, texture, material, light and shadow; and what lies behind."""

from __future__ import annotations

import cv2
import numpy as np

FRACTION_BITS = 4  # of the corner positions that OpenCV takes
BACKGROUNDS = ("table", "outdoors", "cloth", "tiles", "gradient")
GLASS_OPACITY = 0.6


def outline(shape: str) -> np.ndarray:
    """(N, 2) corner points of a shape, about within [-1, 1], y down; a ring's hole is left to `coverage`."""
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
    """(size, size) uint8, 255 where a shape covers a pixel, with smooth edges; it spans about nine tenths."""
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


def textured(texture: str, colour: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size, 3) float32 in 0..255: a patch of one colour (3,) with a pattern in a second tone of it."""
    bright = float(colour.mean()) > 95
    other = colour * rng.uniform(0.28, 0.45) if bright else colour + (255 - colour) * rng.uniform(0.5, 0.7)
    strength = _pattern(texture, size, rng)[..., None]
    return (colour + (other - colour) * strength).astype(np.float32)


def _pattern(texture: str, size: int, rng: np.random.Generator) -> np.ndarray:
    """(size, size) float32 in [0, 1]: where the second tone shows."""
    if texture == "plain":
        return np.zeros((size, size), dtype=np.float32)
    line = np.arange(size, dtype=np.float32) / size
    angle = rng.uniform(0, np.pi)
    period = rng.uniform(0.15, 0.24)
    u = (line[None, :] * np.cos(angle) + line[:, None] * np.sin(angle)) / period + rng.uniform()
    v = (line[:, None] * np.cos(angle) - line[None, :] * np.sin(angle)) / period + rng.uniform()
    sharpness = 0.35 * period * size  # edges about a pixel wide
    if texture == "striped":
        distance = np.abs(u % 1 - 0.5) - 0.25
    elif texture == "dotted":
        distance = 0.31 - np.hypot(u % 1 - 0.5, v % 1 - 0.5)
    elif texture == "checked":
        distance = (np.abs(u % 1 - 0.5) - 0.25) * np.sign(np.abs(v % 1 - 0.5) - 0.25)
    elif texture == "zigzag":
        distance = np.abs((u + 0.8 * np.abs(v % 1 - 0.5)) % 1 - 0.5) - 0.25
    else:  # marbled
        cells = rng.normal(0, 1, (7, 7)).astype(np.float32)
        noise = cv2.resize(cells, (size, size), interpolation=cv2.INTER_CUBIC)
        distance = 0.25 - np.abs((noise * 0.9 + 0.5 * u) % 1 - 0.5)
        sharpness = 4.0
    return np.clip(distance * sharpness + 0.5, 0, 1).astype(np.float32)


def lit(paint: np.ndarray, mask: np.ndarray, material: str, light: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A patch (S, S, 3) in the look of its material, and its opacity (S, S) in [0, 1], the mask (S, S) uint8 included.

    It has the relief of a cushion, the blurred mask for height; `light` is the direction (2,) that light comes from.
    """
    solid = mask.astype(np.float32) * (1 / 255)
    size = len(mask)
    height = cv2.blur(cv2.blur(solid, (max(size // 7, 3),) * 2), (max(size // 7, 3),) * 2)
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, ksize=3)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, ksize=3)
    facing = (slope_x * light[0] + slope_y * light[1]) * (-0.09 * size)  # positive where the slope faces the light
    if material == "matte":
        return paint * (1 + 0.45 * np.clip(facing, -1, 1))[..., None], solid
    if material == "shiny":
        line = np.linspace(-1, 1, size, dtype=np.float32)
        spot = np.exp(-16 * ((line[None] + 0.35 * light[0]) ** 2 + (line[:, None] + 0.35 * light[1]) ** 2))
        band = np.exp(-30 * (line[None] * light[0] + line[:, None] * light[1] - 0.35) ** 2)
        gloss = np.clip(0.8 * spot + 0.22 * band + 0.4 * np.clip(facing, 0, 1), 0, 0.9)[..., None]
        shaded = paint * (1 + 0.7 * np.clip(facing, -1, 1))[..., None]
        return shaded + (255 - shaded) * gloss, solid
    rim = np.clip(1.6 * (1 - height) - 0.35, 0, 1)
    opacity = solid * (GLASS_OPACITY * (1 - rim) + rim * 0.95 - 0.2 * np.clip(facing, 0, 1))
    tinted = paint + (255 - paint) * (0.45 * np.clip(facing, 0, 1) + 0.06)[..., None]
    return tinted, np.clip(opacity, 0, 1)


def shadow(mask: np.ndarray, softness: float) -> np.ndarray:
    """(S + 2P, S + 2P) float32 in [0, 1]: a mask (S, S) uint8 blurred by `softness` pixels, with margin P around it."""
    margin = int(2 * softness) + 1
    padded = cv2.copyMakeBorder(mask, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=0)
    side = max(int(softness), 1)
    return cv2.blur(cv2.blur(padded, (side, side)), (side, side)).astype(np.float32) * (1 / 255)


def background(kind: str, width: int, height: int, rng: np.random.Generator) -> np.ndarray:
    """(height, width, 3) float32 in 0..255: one of `BACKGROUNDS` with clutter that no phrase names."""
    far, near = _tone(rng), _tone(rng)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    if kind in ("table", "outdoors"):
        horizon = rng.uniform(0.1, 0.4)
        ground = near * (0.75 + 0.3 * down)
        stretch = (1, 12) if kind == "table" else (2, 1)
        ground = ground + _noise(width, height, rng, cells=stretch)[..., None] * rng.uniform(8, 20)
        image = np.where(down < horizon, far * (0.8 + 0.3 * down), ground)
    elif kind == "tiles":
        side = int(rng.integers(24, 70))
        line = ((np.arange(height)[:, None] % side < 2) | (np.arange(width)[None] % side < 2))[..., None]
        image = np.where(line, far * 0.7, far) * (0.9 + 0.2 * down) * np.ones((1, width, 1), np.float32)
    else:
        image = (far + (near - far) * down) * np.ones((1, width, 1), np.float32)
        if kind == "cloth":
            image = image + _noise(width, height, rng, cells=(1, 1))[..., None] * rng.uniform(6, 16)
    image = np.ascontiguousarray(image, dtype=np.float32)
    for _ in range(int(rng.integers(4, 22))):
        _draw_clutter(image, rng)
    return np.clip(image, 0, 255)


def photographed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(H, W, 3) uint8: a scene (H, W, 3) float32 with another exposure and colour cast, blurred and noisy."""
    gain = rng.uniform(0.72, 1.18) * (1 + rng.uniform(-0.07, 0.07, 3))
    image = image * gain.astype(np.float32)
    sigma = rng.uniform(0, 1.1)
    if sigma > 0.3:
        image = cv2.GaussianBlur(image, (0, 0), sigma)
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * rng.uniform(0, 6)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def _tone(rng: np.random.Generator) -> np.ndarray:
    """(3,) an unobtrusive colour: of walls, tables, grass and cloth."""
    return (rng.uniform(60, 190) + rng.uniform(-26, 26, 3)).astype(np.float32)


def _noise(width: int, height: int, rng: np.random.Generator, *, cells: tuple[int, int]) -> np.ndarray:
    """(height, width) float32 of about unit variance, in cells of so many by two times so many pixels (y, x)."""
    rows, columns = -(-height // (2 * cells[0])), -(-width // (2 * cells[1]))
    coarse = rng.standard_normal((rows, columns), dtype=np.float32)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def _draw_clutter(image: np.ndarray, rng: np.random.Generator) -> None:
    height, width = image.shape[:2]
    tone = _tone(rng).tolist()
    x, y = int(rng.integers(width)), int(rng.integers(height))
    reach = int(rng.integers(4, 40))
    match int(rng.integers(4)):
        case 0:
            end = (x + int(rng.integers(-2 * reach, 2 * reach)), y + int(rng.integers(-reach, reach)))
            cv2.line(image, (x, y), end, tone, int(rng.integers(1, 4)), cv2.LINE_AA)
        case 1:
            axes = (max(reach // 4, 2), max(reach // 8, 1))
            cv2.ellipse(image, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, tone, -1, cv2.LINE_AA)
        case 2:
            bend = np.cumsum(rng.uniform(-reach / 3, reach / 3, (6, 2)), axis=0) + np.array([x, y])
            cv2.polylines(image, [bend.astype(np.int32)], False, tone, 1, cv2.LINE_AA)
        case _:
            cv2.rectangle(image, (x, y), (x + reach // 3, y + reach // 6), tone, -1)
