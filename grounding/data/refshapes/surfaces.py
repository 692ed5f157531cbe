"""How objects of a RefShapes scene are painted: texture, material, light and shadow; and what lies behind them."""

from __future__ import annotations

import cv2
import numpy as np

BACKGROUNDS = ("table", "outdoors", "cloth", "tiles", "gradient")
GLASS_OPACITY = 0.6


def textured(texture: str, colour: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A patch of one colour with a pattern in a second tone of it.

    Args:
        texture: one of `vocabulary.TEXTURES`.
        colour: (3,) RGB in 0..255.
        size: side of the patch in pixels.
        rng: source of the pattern's period, direction and tone.

    Returns:
        (size, size, 3) float32 in 0..255.
    """
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
    """A patch given relief and the look of its material, and how opaque it is.

    The relief is that of a cushion: the blurred mask serves as height.

    Args:
        paint: (S, S, 3) float32 in 0..255.
        mask: (S, S) uint8, the shape's coverage.
        material: one of `vocabulary.MATERIALS`.
        light: (2,) direction in the image plane that the light comes from.

    Returns:
        (S, S, 3) float32 in 0..255, and (S, S) float32 opacity in [0, 1], mask included.
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
