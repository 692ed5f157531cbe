"""Pictures as a web crawl has them, drawn for pretraining: another hand than RefShapes', of the same kinds of things.

Nothing here is shared with the scenes of `grounding.data.refshapes` but the words: outlines, palettes, patterns,
backgrounds and styles are drawn anew, with other means.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass, replace

import cv2
import numpy as np

from grounding.data.refshapes.vocabulary import COLOURS, MATERIALS, SHAPES, TEXTURES

STYLES = ("filled", "outlined", "shaded", "icon", "sketched")
BACKGROUNDS = ("white", "pastel", "gradient", "paper", "blotches", "dark")
CLIP_ART_SHARE = 0.25
CANVAS = 160  # side in pixels that pictures are drawn at
# Hue, saturation and brightness, each a range, for every colour word; the hue in turns.
HSV = {
    "red": ((-0.03, 0.015), (0.7, 1.0), (0.55, 1.0)),
    "orange": ((0.055, 0.095), (0.75, 1.0), (0.8, 1.0)),
    "yellow": ((0.13, 0.17), (0.6, 1.0), (0.8, 1.0)),
    "green": ((0.27, 0.42), (0.5, 1.0), (0.35, 0.85)),
    "cyan": ((0.48, 0.53), (0.5, 1.0), (0.7, 1.0)),
    "blue": ((0.58, 0.67), (0.6, 1.0), (0.45, 1.0)),
    "purple": ((0.73, 0.8), (0.45, 0.95), (0.4, 0.85)),
    "pink": ((0.88, 0.96), (0.25, 0.6), (0.85, 1.0)),
    "brown": ((0.04, 0.09), (0.5, 0.85), (0.25, 0.5)),
    "white": ((0.0, 1.0), (0.0, 0.05), (0.93, 1.0)),
    "gray": ((0.0, 1.0), (0.0, 0.08), (0.4, 0.68)),
    "black": ((0.0, 1.0), (0.0, 0.3), (0.02, 0.17)),
}


@dataclass(frozen=True)
class Depicted:
    """One thing in a picture.

    Attributes:
        shape, colour, texture, material: the words for it.
        box_xyxy: the tight box of its outline, in pixels of the picture; captions never use it.
    """

    shape: str
    colour: str
    texture: str
    material: str
    box_xyxy: tuple[float, float, float, float] = (0, 0, 0, 0)


def draw_picture(
    rng: np.random.Generator, *, clip_art: float = CLIP_ART_SHARE
) -> tuple[np.ndarray, tuple[Depicted, ...]]:
    """A picture of one to four things in one style, anywhere in it and of any size, and what they are.

    Args:
        rng: source of all randomness.
        clip_art: share of pictures that are the simplest: one plain thing, large, on a quiet background.

    Returns:
        (CANVAS, CANVAS, 3) uint8 RGB and the things.
    """
    simple = rng.random() < clip_art
    style = str(rng.choice(STYLES[:3] if simple else STYLES, p=None if simple else (0.32, 0.1, 0.32, 0.14, 0.12)))
    image = _background(str(rng.choice(BACKGROUNDS[:3] if simple else BACKGROUNDS)), rng)
    count = 1 if simple else int(rng.choice([1, 2, 3, 4], p=(0.5, 0.25, 0.15, 0.1)))
    things: list[Depicted] = []
    centres: list[tuple[float, float, float]] = []
    for _ in range(count):
        thing = Depicted(
            str(rng.choice(SHAPES)),
            str(rng.choice(list(COLOURS))),
            "plain" if simple or rng.random() < 0.3 else str(rng.choice(TEXTURES)),
            "matte" if simple else str(rng.choice(MATERIALS, p=(0.5, 0.28, 0.22))),
        )
        for _ in range(8):
            if simple or (count == 1 and rng.random() < 0.7):  # as products are photographed
                reach = CANVAS * rng.uniform(0.26, 0.46)
                x, y = CANVAS / 2 + rng.normal(0, 0.05 * CANVAS, 2)
            else:
                reach = CANVAS * rng.uniform(0.1, 0.28)
                x, y = rng.uniform(0.85 * reach, CANVAS - 0.85 * reach, 2)
            if all(np.hypot(x - u, y - v) > 0.75 * (reach + r) for u, v, r in centres):
                centres.append((x, y, reach))
                box = _draw(image, thing, style, (x, y), reach, rng)
                things.append(replace(thing, box_xyxy=box))
                break
    image = image * rng.uniform(0.85, 1.1) + rng.uniform(-10, 10)
    if rng.random() < 0.2:
        image = cv2.blur(image, (3, 3))
    if rng.random() < 0.15:
        image = image + rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * rng.uniform(2, 9)
    return np.clip(image, 0, 255).astype(np.uint8), tuple(things)


def _draw(
    image: np.ndarray, thing: Depicted, style: str, centre: tuple[float, float], reach: float, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """Paint one thing into the picture (CANVAS, CANVAS, 3) float32, which changes; returns the box of its outline."""
    tilt = rng.uniform(0, 2 * np.pi) if rng.random() < 0.2 else rng.normal(0, 0.2)
    turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
    squeeze = np.array([rng.uniform(0.75, 1), rng.uniform(0.75, 1)])
    polygons = [(points * squeeze * reach) @ turn + centre for points in contours(thing.shape, rng)]
    if style == "sketched":
        polygons = [points + rng.normal(0, 0.02 * reach + 0.4, points.shape) for points in polygons]
    corners = [np.round(points * 16).astype(np.int32) for points in polygons]
    colour = _colour(thing.colour, rng)
    mask = np.zeros(image.shape[:2], np.float32)
    cv2.fillPoly(mask, corners, 1.0, cv2.LINE_AA, 4)
    if style == "icon":  # on a badge of another tone
        badge = np.zeros_like(mask)
        cv2.circle(badge, (round(centre[0]), round(centre[1])), round(1.25 * reach), 1.0, -1, cv2.LINE_AA)
        image += (_badge_tone(colour, rng) - image) * badge[..., None]
    paint = _patterned(thing.texture, colour, image.shape[0], reach, rng)
    strength = mask
    if thing.material == "glass":
        strength = mask * rng.uniform(0.4, 0.6)
    elif style == "outlined" and thing.texture == "plain":
        strength = mask * 0.25
    elif style == "sketched":
        strength = mask * rng.uniform(0.7, 0.95)
    if style == "shaded":
        across = np.linspace(-1, 1, image.shape[0], dtype=np.float32)
        x, y = (2 * centre[0] / CANVAS - 1 - 0.2 * reach / CANVAS), (2 * centre[1] / CANVAS - 1 - 0.3 * reach / CANVAS)
        distance = np.hypot(across[None] - x, across[:, None] - y) * CANVAS / (2 * reach)
        paint = paint * np.clip(1.2 - 0.45 * distance, 0.4, 1.2)[..., None]
    image += (paint - image) * strength[..., None]
    if thing.material != "matte":
        _shine(image, mask, centre, reach, rng, strong=thing.material == "shiny")
    if style in ("outlined", "sketched") or thing.material == "glass" or rng.random() < 0.25:
        width = max(1, round(reach * rng.uniform(0.03, 0.09)))
        edge = colour * 0.55 if thing.material != "glass" else colour * 0.5 + 120
        line = colour if style == "outlined" else edge
        for each in corners:
            cv2.polylines(image, [each], True, line.tolist(), width, cv2.LINE_AA, 4)
    (x1, y1), (x2, y2) = np.clip(polygons[0].min(axis=0), 0, CANVAS), np.clip(polygons[0].max(axis=0) + 1, 0, CANVAS)
    return float(x1), float(y1), float(x2), float(y2)


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


def _colour(word: str, rng: np.random.Generator) -> np.ndarray:
    """(3,) one of the many colours that a word names, RGB in 0..255."""
    hue, saturation, brightness = (rng.uniform(*each) for each in HSV[word])
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, brightness), dtype=np.float32) * 255


def _badge_tone(colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = rng.uniform(180, 255) if colour.mean() < 140 else rng.uniform(20, 90)
    return np.clip(light + rng.uniform(-20, 20, 3), 0, 255).astype(np.float32)


def _patterned(texture: str, colour: np.ndarray, side: int, reach: float, rng: np.random.Generator) -> np.ndarray:
    """(side, side, 3) float32: the colour with a pattern of lines or spots drawn over it, mostly white or dark."""
    canvas = np.empty((side, side, 3), np.float32)
    canvas[:] = colour
    if texture == "plain":
        return canvas
    ink = colour * rng.uniform(0.15, 0.5) if colour.mean() > 110 or rng.random() < 0.3 else colour * 0.2 + 200
    ink = ink.tolist()
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


def _shine(
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


def _background(kind: str, rng: np.random.Generator) -> np.ndarray:
    """(CANVAS, CANVAS, 3) float32 in 0..255."""
    base = np.full((CANVAS, CANVAS, 3), 250, np.float32)
    if kind == "white":
        return base - rng.uniform(0, 12)
    if kind in ("pastel", "paper"):
        base[:] = rng.uniform(170, 250, 3)
        if kind == "paper":
            base += rng.standard_normal((CANVAS, CANVAS, 1), dtype=np.float32) * rng.uniform(3, 10)
    elif kind == "dark":
        base[:] = rng.uniform(15, 80, 3)
    elif kind == "gradient":
        top, bottom = rng.uniform(40, 240, (2, 3))
        base[:] = top + (bottom - top) * np.linspace(0, 1, CANVAS)[:, None, None]
    else:  # blotches, like an unsharp photograph
        cells = int(rng.integers(2, 8))
        blobs = rng.uniform(40, 220) + rng.uniform(-70, 70, (cells, cells, 1)) + rng.uniform(-30, 30, (cells, cells, 3))
        cv2.resize(blobs.astype(np.float32), (CANVAS, CANVAS), dst=base, interpolation=cv2.INTER_CUBIC)
    return base
