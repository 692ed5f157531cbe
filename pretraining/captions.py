"""Image-caption pairs for contrastive pretraining: pictures of the catalogue with alt texts as a crawl has them.

Captions are incomplete, now and then of another picture, and place things at random. No box is part of a pair.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from grounding.data.refshapes.phrases import noun_phrase
from grounding.data.refshapes.vocabulary import RELATIONS, SIZES
from pretraining.catalogue import SIMPLE_SHARE, Depicted, draw_picture

PRETRAINING_STREAM = 7_002  # keeps these pictures apart from every benchmark split's
WRONG_SHARE = 0.1  # of captions that are about something else
Attributes = tuple[tuple[str, str], ...]

NAMED = (  # which attributes a caption names of a thing, and how often
    (("texture", "material", "colour", "shape"), 0.36),
    (("texture", "colour", "shape"), 0.22),
    (("material", "colour", "shape"), 0.12),
    (("colour", "shape"), 0.16),
    (("texture", "shape"), 0.05),
    (("material", "shape"), 0.03),
    (("texture", "colour"), 0.03),
    (("shape",), 0.03),
)
NOTHING = ("",) * 7  # before or after more than half of the captions
BEFORE = (*NOTHING, "a picture of ", "image of ", "photo: ", "free clip art of ", "isolated ", "a drawing of ")
AFTER = (*NOTHING, " icon", " stock image", " on a background", " illustration", ", vector", " hd wallpaper")


@dataclass(frozen=True)
class CaptionedPicture:
    """One pair for pretraining.

    Attributes:
        image: (S, S, 3) uint8 RGB.
        caption: an alt text.
        mentions: the attributes of each thing the caption names.
        shows: the things in the picture.
    """

    image: np.ndarray
    caption: str
    mentions: tuple[Attributes, ...]
    shows: tuple[Depicted, ...]


def captioned_pictures(
    seed: int, image_size: int, *, stream: int = 0, simple_share: float = SIMPLE_SHARE
) -> Iterator[CaptionedPicture]:
    """Endless pairs; the same seed and stream give the same ones.

    Args:
        seed: of all streams.
        image_size: side of the pictures in pixels.
        stream: different streams have different pictures.
        simple_share: as for `draw_picture`.
    """
    rng = np.random.default_rng([PRETRAINING_STREAM, seed, stream])
    while True:
        image, shows = draw_picture(rng, simple_share=simple_share)
        image = cv2.resize(image, (image_size, image_size), interpolation=cv2.INTER_AREA)
        named = draw_picture(rng)[1] if rng.random() < WRONG_SHARE else shows
        count = min(int(rng.choice([1, 2, 3], p=(0.55, 0.35, 0.1))), len(named))
        sizes = np.array([np.ptp(np.reshape(thing.box_xyxy, (2, 2)), axis=0).prod() for thing in named]) + 1.0
        order = rng.choice(len(named), size=count, replace=False, p=sizes / sizes.sum())  # what is large is named first
        chosen = [named[index] for index in order]
        mentions = tuple(_mention(thing, rng) for thing in chosen)
        yield CaptionedPicture(image, _alt_text(mentions, rng), mentions, shows)


def captions_true_of(pictures: list[CaptionedPicture]) -> np.ndarray:
    """(N, N) bool: entry [i, j] says that picture i shows all that caption j names."""
    return np.array([[_shows(picture, caption.mentions) for caption in pictures] for picture in pictures])


def _shows(picture: CaptionedPicture, mentions: tuple[Attributes, ...]) -> bool:
    return all(
        any(all(getattr(thing, name) == value for name, value in mention) for thing in picture.shows)
        for mention in mentions
    )


def _mention(thing: Depicted, rng: np.random.Generator) -> Attributes:
    subsets, shares = zip(*NAMED, strict=True)
    names = subsets[rng.choice(len(subsets), p=shares)]
    usual = {"plain", "matte"}  # nobody says so, but now and then
    values = [(name, getattr(thing, name)) for name in names]
    return tuple((name, value) for name, value in values if value not in usual or rng.random() < 0.3)


def _alt_text(mentions: tuple[Attributes, ...], rng: np.random.Generator) -> str:
    parts = []
    for mention in mentions:
        size = str(rng.choice(SIZES[("large", "small")[rng.integers(2)]])) + " " if rng.random() < 0.1 else ""
        parts.append(("a ", "a ", "the ", "")[rng.integers(4)] + size + noun_phrase(mention, rng))
    if len(parts) == 1:
        text = parts[0]
    elif rng.random() < 0.35:  # whatever the picture shows
        words = RELATIONS[list(RELATIONS)[rng.integers(len(RELATIONS))]]
        text = f" {words[rng.integers(len(words))]} ".join(parts)
    else:
        text = (" and ", ", ", " with ")[rng.integers(3)].join(parts)
    return BEFORE[rng.integers(len(BEFORE))] + text + AFTER[rng.integers(len(AFTER))]
