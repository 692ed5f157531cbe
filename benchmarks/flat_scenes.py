"""Scenes of a third generator, by which nothing here was trained or chosen: flat shapes side by side, short phrases.

It shares RefShapes' words for shapes and colours, and nothing of how RefShapes or the catalogue are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from grounding.geometry import box_iou

SIZE = (400, 300)  # width and height
FINER = 2  # times as large while drawing
COLOURS = {
    "red": (220, 40, 40), "green": (40, 160, 60), "blue": (40, 70, 210), "yellow": (240, 215, 40),
    "orange": (245, 140, 30), "purple": (140, 60, 170), "pink": (245, 150, 190), "brown": (125, 75, 40),
    "black": (25, 25, 25), "white": (245, 245, 245), "gray": (130, 130, 130), "cyan": (50, 200, 220),
}  # fmt: skip
KINDS = ("attribute", "comparison", "location", "relation")  # of phrases
LEAST_CONTRAST = 60  # sum over channels of how far a shape's colour is from the background's in its place
LARGER = 1.4  # times as large as another: from here on it is called the large one
BESIDE = 25  # pixels between centres, from which on one thing is left of another
# An image (H, W, 3) uint8 RGB, and phrases about it: the words, one of `KINDS`, and the box (4,) in pixels.
FlatScene = tuple[np.ndarray, list[tuple[str, str, np.ndarray]]]


def _regular(corners: int, start: float = -90) -> np.ndarray:
    angles = np.radians(start + 360 * np.arange(corners) / corners)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


# Corners with the origin in the middle, y downwards, within one unit of it.
OUTLINES = {
    "circle": _regular(64),
    "triangle": _regular(3),
    "square": 1.1 * _regular(4, -45),
    "diamond": _regular(4) * (0.7, 1),
    "hexagon": _regular(6, 0),
    "star": _regular(10) * np.resize([1, 0.42], 10)[:, None],
    "cross": np.array([(-1, -3), (1, -3), (1, -1), (3, -1), (3, 1), (1, 1), (1, 3), (-1, 3), (-1, 1), (-3, 1), (-3, -1),
                       (-1, -1)]) / 3,
    "arrow": np.array([(-8, -2), (2, -2), (2, -5), (8, 0), (2, 5), (2, 2), (-8, 2)]) / 8,
    "house": np.array([(-4, 5), (-4, -1), (0, -5), (4, -1), (4, 5)]) / 5,
}  # fmt: skip


@dataclass(frozen=True)
class FlatShape:
    """One shape of a scene; `box_xyxy`, (4,), and how far it reaches from its middle, `reach`, are in pixels."""

    shape: str
    colour: str
    reach: float
    box_xyxy: np.ndarray

    @property
    def name(self) -> str:
        """Colour and shape."""
        return f"{self.colour} {self.shape}"

    @property
    def x(self) -> float:
        """Of the middle."""
        return float(self.box_xyxy[[0, 2]].mean())


def flat_scenes(seed: int) -> Iterator[FlatScene]:
    """Endless scenes; each phrase fits one shape of its scene and no other.

    In every second scene all are of three shapes and three colours, so that few are the only ones of theirs.
    """
    rng = np.random.default_rng(seed)
    crowded = False
    while True:
        crowded = not crowded
        image, shapes = _draw(rng, 3 if crowded else None)
        yield image, [(phrase, kind, one.box_xyxy) for one in shapes for phrase, kind in _phrases(one, shapes)]


def _draw(rng: np.random.Generator, choices: int | None) -> tuple[np.ndarray, list[FlatShape]]:
    width, height = SIZE
    colours, outlines = (list(rng.permutation(list(each))[:choices]) for each in (COLOURS, OUTLINES))
    ground = rng.integers(150, 256, 3)
    across = np.linspace(0, 1, height * FINER)[:, None, None] * rng.uniform(-80, 80, 3) * (rng.random() < 0.5)
    canvas = np.clip(ground + across + np.zeros((1, width * FINER, 1)), 0, 255).astype(np.uint8)
    picture = Image.fromarray(canvas)
    shapes: list[FlatShape] = []
    for _ in range(int(rng.integers(6, 20))):  # tries, of which some find no place
        reach = rng.uniform(16, 58)
        middle = rng.uniform(reach + 2, np.array(SIZE) - reach - 2)
        shape, colour = str(rng.choice(outlines)), str(rng.choice(colours))
        corners = OUTLINES[shape] * reach + middle
        box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        tone = np.clip(COLOURS[colour] + rng.normal(0, 10, 3), 0, 255).astype(int)
        x, y = (middle * FINER).astype(int)
        if np.abs(tone - canvas[y, x]).sum() < LEAST_CONTRAST:
            continue
        if shapes and box_iou(box[None], np.array([each.box_xyxy for each in shapes])).max() > 0:
            continue
        points = [(float(x), float(y)) for x, y in corners * FINER]
        ImageDraw.Draw(picture).polygon(points, fill=(int(tone[0]), int(tone[1]), int(tone[2])))
        shapes.append(FlatShape(shape, colour, reach, box))
    return np.asarray(picture.resize(SIZE, Image.Resampling.BILINEAR)), shapes


def _phrases(one: FlatShape, shapes: list[FlatShape]) -> Iterator[tuple[str, str]]:
    """Phrases, and their kinds, that fit one of the shapes and no other."""
    alike = [each for each in shapes if each.name == one.name and each is not one]
    if not alike:
        yield f"the {one.name}", "attribute"
    if len(alike) != 1:
        return
    [other] = alike
    if max(one.reach, other.reach) > LARGER * min(one.reach, other.reach):
        yield f"the {'large' if one.reach > other.reach else 'small'} {one.name}", "comparison"
    if abs(one.x - other.x) > 2 * BESIDE:
        yield f"the {one.name} on the {'right' if one.x > other.x else 'left'}", "location"
    for mark in shapes:
        of_mark, beside = sum(each.name == mark.name for each in shapes), (one.x - mark.x, other.x - mark.x)
        if of_mark == 1 and min(beside) < -BESIDE and max(beside) > BESIDE:
            yield f"the {one.name} to the {'right' if one.x > mark.x else 'left'} of the {mark.name}", "relation"
            return
