"""Image-caption pairs for contrastive pretraining: views of generated scenes and what may be said of them.

No box leaves this file: a pair is a picture, a caption, and the attribute sets needed to tell which other
captions of a batch are true of the picture as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from grounding.data.refshapes.meaning import Attributes, Description, has_attributes
from grounding.data.refshapes.phrases import attributes_of, describe, say
from grounding.data.refshapes.scenes import Scene, SceneObject, make_scene
from grounding.geometry import PADDING_RGB, Letterbox

RELATION_VIEWS = 0.35
PRETRAINING_STREAM = 7_001  # keeps these scenes apart from every benchmark split's


@dataclass(frozen=True)
class CaptionedView:
    """One pair for pretraining.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        caption: a phrase about what is shown.
        mentions: the attribute sets of the objects the caption is about.
        shows: the objects in the image; of a view zoomed onto one object, that object only.
    """

    image: np.ndarray
    caption: str
    mentions: tuple[Attributes, ...]
    shows: tuple[SceneObject, ...]


def captioned_views(seed: int, image_size: int, *, stream: int = 0) -> Iterator[CaptionedView]:
    """Endless views, two of every three zoomed onto one object.

    Args:
        seed: of the whole stream.
        image_size: side of the views in pixels.
        stream: views of different streams come from different scenes.
    """
    rng = np.random.default_rng([PRETRAINING_STREAM, seed, stream])
    while True:
        scene = make_scene(rng, allow_novel=False)
        for index in rng.permutation(len(scene.objects))[:2]:
            yield _object_view(scene, int(index), image_size, rng)
        relation = _relation(scene, int(rng.integers(len(scene.objects))), rng)
        if relation is None:
            yield _scene_view(scene, image_size, rng)
        else:
            yield _relation_view(scene, relation, image_size, rng)


def captions_true_of(views: list[CaptionedView]) -> np.ndarray:
    """(N, N) bool: entry [i, j] says that image i shows all that caption j is about, whatever the relation."""
    return np.array([[_mentions_are_shown(caption, image) for caption in views] for image in views])


def _mentions_are_shown(caption: CaptionedView, image: CaptionedView) -> bool:
    return all(any(has_attributes(item, attributes) for item in image.shows) for attributes in caption.mentions)


def _relation(scene: Scene, index: int, rng: np.random.Generator) -> Description | None:
    """Now and then, where the scene has one: the object with the given index, placed by another object."""
    return describe(scene.objects, index, rng, kind="relation") if rng.random() < RELATION_VIEWS else None


def _object_view(scene: Scene, index: int, image_size: int, rng: np.random.Generator) -> CaptionedView:
    """A square window about one object, one to two and a half times its size, with a caption of the object."""
    item = scene.objects[index]
    left, top, side = item.patch
    reach = side * rng.uniform(0.95, 2.5)
    slack = max(reach - side, 0) / 2
    x = left + side / 2 + rng.uniform(-slack, slack)
    y = top + side / 2 + rng.uniform(-slack, slack)
    scale = image_size / reach
    matrix = np.array([[scale, 0, (reach / 2 - x) * scale], [0, scale, (reach / 2 - y) * scale]])
    image = cv2.warpAffine(
        scene.image, matrix, (image_size, image_size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT,
        borderValue=PADDING_RGB,
    )  # fmt: skip
    description = _relation(scene, index, rng)
    if description is None or not description.attributes:
        description = Description(attributes_of(item, _names(rng)))
    # The window may show neighbours, and the caption may name one, but both are about the object in the middle.
    return CaptionedView(_relight(image, rng), say(description, rng), (description.attributes,), (item,))


def _scene_view(scene: Scene, image_size: int, rng: np.random.Generator) -> CaptionedView:
    """The whole scene with a caption that lists one to three of its objects."""
    count = min(int(rng.integers(1, 4)), len(scene.objects))
    chosen = rng.permutation(len(scene.objects))[:count]
    listed = tuple(attributes_of(scene.objects[index], _names(rng)) for index in chosen)
    caption = " and ".join(say(Description(attributes), rng) for attributes in listed)
    return CaptionedView(_whole(scene, image_size, rng), caption, listed, scene.objects)


def _relation_view(scene: Scene, description: Description, image_size: int, rng: np.random.Generator) -> CaptionedView:
    """The whole scene with a caption that places one object by another."""
    mentions = (description.attributes, description.anchor)
    return CaptionedView(_whole(scene, image_size, rng), say(description, rng), mentions, scene.objects)


def _whole(scene: Scene, image_size: int, rng: np.random.Generator) -> np.ndarray:
    height, width = scene.image.shape[:2]
    return _relight(Letterbox.fit((width, height), image_size).apply(scene.image), rng)


def _names(rng: np.random.Generator) -> tuple[str, ...]:
    """Which attributes a caption names: mostly all that a single object shows."""
    subsets = (("texture", "colour", "shape"), ("colour", "shape"), ("texture", "shape"), ("texture", "colour"))
    return subsets[rng.choice(4, p=[0.6, 0.2, 0.1, 0.1])]


def _relight(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image with slightly other brightness and contrast, uint8."""
    return cv2.convertScaleAbs(image, alpha=rng.uniform(0.88, 1.12), beta=rng.uniform(-12, 12))
