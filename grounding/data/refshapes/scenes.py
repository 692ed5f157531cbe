"""Scenes of three to nine objects that hide one another in part, and their picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grounding.data.refshapes.surfaces import BACKGROUNDS, background, coverage, lit, photographed, shadow, textured
from grounding.data.refshapes.vocabulary import COLOURS, MATERIALS, NOVEL_PAIRS, SHAPES, TEXTURES

IMAGE_SIZES = ((320, 240), (240, 320), (300, 300), (400, 300), (288, 384), (480, 320))
OBJECTS = (3, 9)
SIDE_SHARES = (0.055, 0.6)  # of the image's shorter side, per object
MAX_HIDDEN = 0.6
# What an object copies from an earlier one, and how often: look-alikes, so that no single word is enough.
SHARED = ("colour", "texture", "colour texture", "colour material", "colour texture material", "")
SHARED_PROBABILITIES = (0.2, 0.2, 0.12, 0.08, 0.05, 0.35)


@dataclass(frozen=True)
class SceneObject:
    """One object of a scene.

    Attributes:
        shape, colour, texture, material: words of `vocabulary`.
        patch: (left, top, side) of the square it is drawn in, hidden or not, in image pixels; may reach over the edge.
        rotation: degrees, clockwise.
        aspect: width by height before the rotation.
        box_xyxy: around its visible pixels.
        hidden: share of its pixels inside the image that nearer objects cover, in [0, 1].
    """

    shape: str
    colour: str
    texture: str
    material: str
    patch: tuple[int, int, int] = (0, 0, 0)
    rotation: float = 0.0
    aspect: float = 1.0
    box_xyxy: tuple[int, int, int, int] = (0, 0, 0, 0)
    hidden: float = 0.0

    @property
    def is_novel(self) -> bool:
        """True for a combination of colour and shape that training never shows."""
        return (self.colour, self.shape) in NOVEL_PAIRS


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture and what is in it.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        objects: from the farthest to the nearest.
        covers: (N, N) float32; entry [i, j] is the share of object j's pixels that object i, nearer, lies over.
    """

    image: np.ndarray
    objects: tuple[SceneObject, ...]
    covers: np.ndarray


def make_scene(rng: np.random.Generator, *, allow_novel: bool) -> Scene:
    """One random scene; where `allow_novel`, about a third of its objects have the held-out combinations."""
    while True:  # a draw that leaves too few objects in sight is thrown away as a whole
        width, height = IMAGE_SIZES[rng.integers(len(IMAGE_SIZES))]
        count = OBJECTS[0] + int(rng.binomial(OBJECTS[1] - OBJECTS[0], 0.3))
        placed = _place(_draw_attributes(count, allow_novel, rng), width, height, rng)
        scene = compose(placed, width, height, rng) if len(placed) >= OBJECTS[0] else None
        if scene is not None:
            return scene


def compose(placed: list[SceneObject], width: int, height: int, rng: np.random.Generator) -> Scene | None:
    """The scene of objects from the farthest to the nearest, their boxes found; None where one is hidden too much."""
    masks = [coverage(item.shape, item.patch[2], item.rotation, item.aspect) for item in placed]
    nearest = np.full((height, width), -1, dtype=np.int16)  # which object is seen at each pixel
    solids = []
    for index, (item, mask) in enumerate(zip(placed, masks, strict=True)):
        window, inner = _window(item.patch, width, height)
        solid = mask[inner] > 127
        nearest[window][solid] = index
        solids.append((window, solid))
    covers = np.zeros((len(placed), len(placed)), dtype=np.float32)
    objects: list[SceneObject] = []
    for index, (item, (window, solid)) in enumerate(zip(placed, solids, strict=True)):
        on_top = np.bincount(nearest[window][solid] + 1, minlength=len(placed) + 1)[1:]
        area = max(int(solid.sum()), 1)
        covers[:, index] = on_top / area
        covers[index, index] = 0
        visible = (nearest[window] == index) & solid
        if visible.sum() < max((1 - MAX_HIDDEN) * area, 30):
            return None
        columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
        x, y = window[1].start, window[0].start
        box = (x + int(columns[0]), y + int(rows[0]), x + int(columns[-1]) + 1, y + int(rows[-1]) + 1)
        objects.append(replace(item, box_xyxy=box, hidden=1 - float(visible.sum()) / area))
    return Scene(_render(objects, masks, width, height, rng), tuple(objects), covers)


def _draw_attributes(count: int, allow_novel: bool, rng: np.random.Generator) -> list[SceneObject]:
    """Attributes of `count` objects: in most scenes, three or more of one shape."""
    crowd_shape = str(rng.choice(SHAPES))
    crowd = min(int(rng.integers(3, 6)), count) if rng.random() < 0.85 else 0
    drawn: list[SceneObject] = []
    while len(drawn) < count:
        fresh = SceneObject(
            shape=crowd_shape if len(drawn) < crowd else str(rng.choice(SHAPES)),
            colour=str(rng.choice(list(COLOURS))),
            texture="plain" if rng.random() < 0.4 else str(rng.choice(TEXTURES)),
            material=str(rng.choice(MATERIALS, p=(0.56, 0.3, 0.14))),
        )
        if allow_novel and rng.random() < 0.35:
            pairs = sorted(pair for pair in NOVEL_PAIRS if pair[1] == fresh.shape)
            fresh = replace(fresh, colour=pairs[rng.integers(len(pairs))][0]) if pairs else fresh
        if drawn and rng.random() < 0.6:
            model = drawn[rng.integers(len(drawn))]
            shared = SHARED[rng.choice(len(SHARED), p=SHARED_PROBABILITIES)]
            fresh = replace(fresh, **{name: getattr(model, name) for name in shared.split()})
        if allow_novel or not fresh.is_novel:
            drawn.append(fresh)
    return [drawn[index] for index in rng.permutation(count)]


def _place(objects: list[SceneObject], width: int, height: int, rng: np.random.Generator) -> list[SceneObject]:
    """The objects with patches, from the farthest to the nearest: mostly those whose foot stands higher."""
    short = min(width, height)
    placed: list[SceneObject] = []
    for item in objects:
        share = np.clip(np.exp(rng.normal(np.log(0.3), 0.45)), *SIDE_SHARES)
        side = max(round(float(share) * short), 12)
        for _ in range(12):
            if placed and rng.random() < 0.3:  # beside or in front of another one
                left, top, other = placed[rng.integers(len(placed))].patch
                reach = (side + other) * rng.uniform(0.22, 0.5)
                turn = rng.uniform(0, 2 * np.pi)
                x = left + other / 2 + reach * np.cos(turn) - side / 2
                y = top + other / 2 + reach * np.sin(turn) - side / 2
            else:
                x, y = rng.uniform(0, width - side), rng.uniform(0, height - side)
            patch = (int(np.clip(x, -0.1 * side, width - 0.9 * side)), int(np.clip(y, 0, height - side)), side)
            if all(_overlap(patch, other.patch) <= 0.75 for other in placed):
                rotation = float(rng.normal(0, 14))
                placed.append(replace(item, patch=patch, rotation=rotation, aspect=float(rng.uniform(0.8, 1.25))))
                break
    foot = np.array([item.patch[1] + item.patch[2] for item in placed]) + rng.normal(0, 0.15 * height, len(placed))
    return [placed[index] for index in np.argsort(foot, kind="stable")]


def _overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """Intersection of two square patches as a share of the smaller one."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1])
    return max(across, 0) * max(down, 0) / min(a[2], b[2]) ** 2


def _render(
    objects: list[SceneObject], masks: list[np.ndarray], width: int, height: int, rng: np.random.Generator
) -> np.ndarray:
    """(H, W, 3) uint8: the objects drawn from the farthest to the nearest, each with its shadow below it."""
    image = background(str(rng.choice(BACKGROUNDS)), width, height, rng)
    turn = rng.uniform(-2.6, -0.5)  # from above
    light = np.array([np.cos(turn), np.sin(turn)])
    darkness = rng.uniform(0.15, 0.5)
    for item, mask in zip(objects, masks, strict=True):
        left, top, side = item.patch
        dark = shadow(mask, 0.06 * side + 1)
        margin = (len(dark) - side) // 2
        offset = -light * 0.09 * side
        place = (int(left - margin + offset[0]), int(top - margin + offset[1]), len(dark))
        window, inner = _window(place, width, height)
        opaque = 0.5 if item.material == "glass" else 1.0
        image[window] *= 1 - (darkness * opaque) * dark[inner][..., None]
        tint = np.clip(np.array(COLOURS[item.colour]) + rng.normal(0, 11, 3), 0, 255)
        paint, opacity = lit(textured(item.texture, tint, side, rng), mask, item.material, light)
        window, inner = _window(item.patch, width, height)
        image[window] += (paint[inner] - image[window]) * opacity[inner][..., None]
    return photographed(image, rng)


def _window(patch: tuple[int, int, int], width: int, height: int) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """The (rows, columns) of a square patch that lie in the image: in the image, and in the patch."""
    left, top, side = patch
    x1, x2 = max(left, 0), min(left + side, width)
    y1, y2 = max(top, 0), min(top + side, height)
    return (slice(y1, y2), slice(x1, x2)), (slice(y1 - top, y2 - top), slice(x1 - left, x2 - left))
