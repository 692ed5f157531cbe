"""Scenes of two to five objects with distractors, and their picture."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from grounding.data.refshapes.drawing import background, shape_mask, textured_patch
from grounding.data.refshapes.vocabulary import COLOURS, NOVEL_PAIRS, SHAPES, SIZES, TEXTURES

IMAGE_SIZES = ((160, 120), (120, 160), (144, 144), (176, 128), (128, 176), (192, 120))
# What a distractor copies from another object, and how often; three in a hundred differ in size and place only.
SHARED_BY_DISTRACTORS = (
    ("shape",),
    ("colour",),
    ("shape", "colour"),
    ("shape", "texture"),
    ("colour", "texture"),
    ("shape", "colour", "texture"),
)
SHARED_PROBABILITIES = (0.3, 0.3, 0.17, 0.1, 0.1, 0.03)
OBJECTS = (2, 5)  # fewest and most in a scene
MIN_VISIBLE = 0.7  # an object hidden more than this allows is drawn again elsewhere


@dataclass(frozen=True)
class SceneObject:
    """One object: its attributes, where it stands, and the box around what is visible of it.

    Attributes:
        shape, colour, texture, size: words of `vocabulary`.
        patch: (left, top, side) of its square patch in image pixels.
        rotation: degrees, clockwise.
        box_xyxy: tight box of its visible pixels, in image pixels.
    """

    shape: str
    colour: str
    texture: str
    size: str
    patch: tuple[int, int, int] = (0, 0, 0)
    rotation: float = 0.0
    box_xyxy: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def is_novel(self) -> bool:
        """True for a combination of colour and shape that training never shows."""
        return (self.colour, self.shape) in NOVEL_PAIRS

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y) of the middle of its box, in image pixels."""
        x1, y1, x2, y2 = self.box_xyxy
        return (x1 + x2) / 2, (y1 + y2) / 2


@dataclass(frozen=True)
class Scene:
    """A picture and what is in it: `image` (H, W, 3) uint8 RGB and `objects`, back to front."""

    image: np.ndarray
    objects: tuple[SceneObject, ...]


def make_scene(rng: np.random.Generator, *, allow_novel: bool) -> Scene:
    """One random scene; the same generator state gives the same scene.

    Args:
        rng: source of all randomness.
        allow_novel: whether objects may have the held-out combinations; if so, about a third of them do.
    """
    while True:  # a draw that leaves no room for its last object is thrown away as a whole
        width, height = IMAGE_SIZES[rng.integers(len(IMAGE_SIZES))]
        count = int(rng.integers(OBJECTS[0], OBJECTS[1] + 1))
        placed = _place(_draw_attributes(count, allow_novel, rng), width, height, rng)
        if placed is None:
            continue
        scene = _render(placed, width, height, rng)
        if scene is not None:
            return scene


def _draw_attributes(count: int, allow_novel: bool, rng: np.random.Generator) -> list[SceneObject]:
    """Attributes of `count` objects; most share some with an earlier one, so that no single word is enough."""
    drawn: list[SceneObject] = []
    while len(drawn) < count:
        fresh = SceneObject(
            shape=str(rng.choice(SHAPES)),
            colour=str(rng.choice(list(COLOURS))),
            texture=str(rng.choice(TEXTURES)),
            size=str(rng.choice(SIZES)),
        )
        if allow_novel and rng.random() < 0.35:
            colour, shape = sorted(NOVEL_PAIRS)[rng.integers(len(NOVEL_PAIRS))]
            fresh = replace(fresh, colour=colour, shape=shape)
        if drawn and rng.random() < 0.8:
            model = drawn[rng.integers(len(drawn))]
            shared = SHARED_BY_DISTRACTORS[rng.choice(len(SHARED_BY_DISTRACTORS), p=SHARED_PROBABILITIES)]
            fresh = replace(fresh, **{name: getattr(model, name) for name in shared})
        if allow_novel or not fresh.is_novel:
            drawn.append(fresh)
    return drawn


def _place(objects: list[SceneObject], width: int, height: int, rng: np.random.Generator) -> list[SceneObject] | None:
    """The objects with patches that overlap a little at most, or None where there is no room."""
    short = min(width, height)
    placed: list[SceneObject] = []
    for item in objects:
        low, high = (0.19, 0.25) if item.size == "small" else (0.38, 0.48)
        for _ in range(30):
            side = round(rng.uniform(low, high) * short)
            left, top = int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1))
            if all(_overlap((left, top, side), other.patch) <= 0.2 for other in placed):
                rotation = float(rng.uniform(-12, 12))
                placed.append(replace(item, patch=(left, top, side), rotation=rotation))
                break
        else:
            return None
    return placed


def _overlap(a: tuple[int, int, int], b: tuple[int, int, int]) -> float:
    """Intersection of two square patches as a share of the smaller one."""
    across = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    down = min(a[1] + a[2], b[1] + b[2]) - max(a[1], b[1])
    return max(across, 0) * max(down, 0) / min(a[2], b[2]) ** 2


def _render(objects: list[SceneObject], width: int, height: int, rng: np.random.Generator) -> Scene | None:
    """The scene drawn back to front with visible boxes, or None where an object is hidden too much."""
    image = background(str(rng.choice(["gradient", "noise", "clutter"])), width, height, rng)
    coverages = np.zeros((len(objects), height, width), dtype=np.float32)
    for coverage, item in zip(coverages, objects, strict=True):
        left, top, side = item.patch
        window = (slice(top, top + side), slice(left, left + side))
        mask = shape_mask(item.shape, side, item.rotation)
        colour = np.clip(np.array(COLOURS[item.colour]) + rng.uniform(-12, 12, 3), 0, 255)
        paint = textured_patch(item.texture, colour, side, rng)
        image[window] += (paint - image[window]) * mask[..., None]
        coverage[window] = mask
    seen = []
    for index, item in enumerate(objects):
        solid = coverages[index] > 0.5
        visible = solid & ~(coverages[index + 1 :] > 0.5).any(axis=0)
        if visible.sum() < MIN_VISIBLE * solid.sum():
            return None
        columns, rows = np.flatnonzero(visible.any(axis=0)), np.flatnonzero(visible.any(axis=1))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        seen.append(replace(item, box_xyxy=box))
    return Scene(image.astype(np.uint8), tuple(seen))
