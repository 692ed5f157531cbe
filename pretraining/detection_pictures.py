"""Pictures with the boxes of all that is in them, to train a detector on: some of the catalogue, most scattered things.

The scattered ones are painted as RefShapes' are, since a detector for photographs has seen photographs; but what lies
where, how large and among what is drawn at random, so that nothing of how RefShapes' scenes are built can be learnt.
"""

from __future__ import annotations

import numpy as np

from grounding.data.refshapes.scenes import IMAGE_SIZES, SceneObject, compose
from grounding.data.refshapes.vocabulary import COLOURS, MATERIALS, SHAPES, TEXTURES
from pretraining.catalogue import draw_picture

CATALOGUE_SHARE = 0.3
OBJECTS = (1, 12)
SIDE_SHARES = (0.05, 0.6)  # of the image's shorter side


def detection_picture(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One picture: (H, W, 3) uint8 RGB and the boxes of all its objects, (N, 4) float32 in pixels."""
    image, boxes = _catalogue_picture(rng) if rng.random() < CATALOGUE_SHARE else _scattered(rng)
    return image, np.array(boxes, np.float32).reshape(-1, 4)


def _catalogue_picture(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, ...]]]:
    image, things = draw_picture(rng)
    return image, [thing.box_xyxy for thing in things]


def _scattered(rng: np.random.Generator) -> tuple[np.ndarray, list[tuple[float, ...]]]:
    while True:  # until nothing is hidden too much
        width, height = IMAGE_SIZES[rng.integers(len(IMAGE_SIZES))]
        things = []
        for _ in range(int(rng.integers(OBJECTS[0], OBJECTS[1] + 1))):
            side = round(min(width, height) * float(np.exp(rng.uniform(*np.log(SIDE_SHARES)))))
            patch = (int(rng.integers(0, width - side + 1)), int(rng.integers(0, height - side + 1)), side)
            shape, colour, texture, material = (
                str(rng.choice(each)) for each in (SHAPES, list(COLOURS), TEXTURES, MATERIALS)
            )
            rotation, aspect = float(rng.uniform(-180, 180)), float(rng.uniform(0.6, 1.6))
            things.append(SceneObject(shape, colour, texture, material, patch, rotation, aspect))
        scene = compose(things, width, height, rng)
        if scene is not None:
            return scene.image, [item.box_xyxy for item in scene.objects]
