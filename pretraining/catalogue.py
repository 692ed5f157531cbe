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
from pretraining.paint import contours, drop_shadow, embossed, patterned, shine

STYLES = ("filled", "outlined", "shaded", "icon", "sketched")
BACKGROUNDS = ("white", "pastel", "gradient", "paper", "blotches", "dark")
SIMPLE_SHARE = 0.25
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
    rng: np.random.Generator, *, simple_share: float = SIMPLE_SHARE
) -> tuple[np.ndarray, tuple[Depicted, ...]]:
    """A picture of one to four things in one style, anywhere in it and of any size, and what they are.

    Args:
        rng: source of all randomness.
        simple_share: share of pictures that are the simplest: one plain thing, large, on a quiet background.

    Returns:
        (CANVAS, CANVAS, 3) uint8 RGB and the things.
    """
    simple = rng.random() < simple_share
    style = str(rng.choice(STYLES[:3] if simple else STYLES, p=None if simple else (0.32, 0.1, 0.32, 0.14, 0.12)))
    image = _background(str(rng.choice(BACKGROUNDS[:3] if simple else BACKGROUNDS)), rng)
    if not simple and rng.random() < 0.5:
        _litter(image, rng)
    count = 1 if simple else int(rng.choice([1, 2, 3, 4], p=(0.4, 0.25, 0.2, 0.15)))
    apart = rng.uniform(0.4, 0.9)  # things overlap in some pictures
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
            if simple or (not things and rng.random() < 0.7):  # as products are photographed
                reach = CANVAS * rng.uniform(0.26, 0.46)
                x, y = CANVAS / 2 + rng.normal(0, 0.05 * CANVAS, 2)
            else:
                reach = CANVAS * rng.uniform(0.1, 0.32)
                x, y = rng.uniform(0.4 * reach, CANVAS - 0.4 * reach, 2)
            if all(np.hypot(x - u, y - v) > apart * (reach + r) for u, v, r in centres):
                centres.append((x, y, reach))
                box = _draw(image, thing, style, (x, y), reach, rng)
                things.append(replace(thing, box_xyxy=box))
                break
    image = image * rng.uniform(0.85, 1.1) + rng.uniform(-10, 10)
    if not simple and rng.random() < 0.6:
        image = _snapshot(image, rng)
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
    if style in ("filled", "shaded") and rng.random() < 0.4:
        drop_shadow(image, mask, reach, rng)
    paint = patterned(thing.texture, colour, image.shape[0], reach, rng)
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
        if rng.random() < 0.6:  # like a button
            paint = paint * (1 + embossed(mask, reach, rng))[..., None]
    image += (paint - image) * strength[..., None]
    if thing.material != "matte":
        shine(image, mask, centre, reach, rng, strong=thing.material == "shiny")
    if style in ("outlined", "sketched") or thing.material == "glass" or rng.random() < 0.25:
        width = max(1, round(reach * rng.uniform(0.03, 0.09)))
        edge = colour * 0.55 if thing.material != "glass" else colour * 0.5 + 120
        line = colour if style == "outlined" else edge
        for each in corners:
            cv2.polylines(image, [each], True, line.tolist(), width, cv2.LINE_AA, 4)
    (x1, y1), (x2, y2) = np.clip(polygons[0].min(axis=0), 0, CANVAS), np.clip(polygons[0].max(axis=0) + 1, 0, CANVAS)
    return float(x1), float(y1), float(x2), float(y2)


def _colour(word: str, rng: np.random.Generator) -> np.ndarray:
    """(3,) one of the many colours that a word names, RGB in 0..255."""
    hue, saturation, brightness = (rng.uniform(*each) for each in HSV[word])
    return np.array(colorsys.hsv_to_rgb(hue % 1, saturation, brightness), dtype=np.float32) * 255


def _badge_tone(colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    light = rng.uniform(180, 255) if colour.mean() < 140 else rng.uniform(20, 90)
    return np.clip(light + rng.uniform(-20, 20, 3), 0, 255).astype(np.float32)


def _litter(image: np.ndarray, rng: np.random.Generator) -> None:
    """Strokes, specks and scraps that no caption names; the image changes."""
    for _ in range(int(rng.integers(2, 14))):
        tone = rng.uniform(0, 255, 3).tolist()
        at = rng.uniform(0, CANVAS, 2)
        points = np.cumsum(rng.normal(0, rng.uniform(2, 18), (int(rng.integers(2, 6)), 2)), axis=0) + at
        if rng.random() < 0.6:
            cv2.polylines(image, [points.astype(np.int32)], False, tone, int(rng.integers(1, 4)), cv2.LINE_AA)
        else:
            cv2.fillPoly(image, [points.astype(np.int32)], tone, cv2.LINE_AA)


def _snapshot(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The picture (H, W, 3) float32 as a cheap camera has it: dim or pale, tinted, unsharp, grainy."""
    gain = rng.uniform(0.45, 1.1) * (1 + rng.normal(0, 0.05, 3))
    image = image * gain.astype(np.float32) + rng.uniform(-5, 35)
    side = round(CANVAS * rng.uniform(0.25, 1))
    small = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    image = cv2.resize(small, (CANVAS, CANVAS), interpolation=cv2.INTER_LINEAR)
    return image + rng.standard_normal(image.shape[:2], dtype=np.float32)[..., None] * rng.uniform(0, 10)


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
