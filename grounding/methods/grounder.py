"""The Grounder protocol, and what methods share."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.precision import own_mode
from grounding.clip.text import TextEncoder, as_phrases
from grounding.data.dataset import naming_sentences
from grounding.data.images import ImageLike, as_image
from grounding.methods.drawings import PhotographWarning, photograph_warnings
from grounding.methods.proposals import Proposer
from grounding.methods.stream import ground_many
from grounding.runtime.errors import InputError
from grounding.types import Example, Grounding, SetExample


class Grounder(Protocol):
    """Any method that says where phrases are: what evaluation, visualisation and users talk to.

    Attributes:
        name: of the method, in reports.
        weights: which pretrained weights it works with, a sentence for reports.

    Example:
        >>> grounder = grounding.load("refshapes")
        >>> answers = grounder.ground("scene.jpg", ["the circle", "the star"])
        >>> [answer.phrase for answer in answers]
        ['the circle', 'the star']
    """

    name: str
    weights: str

    def ground(self, image: ImageLike, phrases: Sequence[str]) -> list[Grounding]:
        """Where each phrase is in one image, in the order of the phrases."""
        ...

    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """Where each phrase of each image is: the list `phrases[i]` is asked of `images[i]`."""
        ...


class EncodingGrounder:
    """A method that encodes images, several together, and answers phrases about what it has encoded.

    A subclass says by `_encode` how images are encoded and by `_ground_encoded` how phrases are answered: the list
    `phrases[i]` is asked of the i-th image.
    """

    name: str
    weights: str
    clip: LoadedCLIP
    text: TextEncoder | None  # what reads phrases and remembers them
    proposer: Proposer | None = None
    encoded: type[Any]  # of encoded images, which have the originals as `images` and their maker's `identity`
    identity: Any  # what an encoded image depends on besides the image
    _has_warned = False

    def _encode(self, images: Sequence[np.ndarray]) -> Any:
        raise NotImplementedError

    def _ground_encoded(self, encoded: Any, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        raise NotImplementedError

    @own_mode()
    def encode(self, image: ImageLike) -> Any:
        """An image as a value that `ground` takes in its place: encode once, ask as often as you like."""
        return self._encode([as_image(image)])

    @own_mode()
    def ground(self, image: Any, phrases: Sequence[str]) -> list[Grounding]:
        """Where each phrase is in one image.

        Args:
            image: a path, an array (H, W, 3) uint8 RGB, an image of PIL's, a file's bytes, or what `encode` returned.
            phrases: what to look for; each at most CLIP's 77 tokens.

        Returns:
            One `Grounding` per phrase, in their order.

        Raises:
            InputError: the image cannot be read or another method has encoded it, or a phrase is empty or too long.
        """
        phrases = as_phrases(phrases)
        return self._answers(self._encoded(image), [phrases])[0] if phrases else []

    @own_mode()
    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for several images, which go through CLIP together; raises as that does, and as `as_batch`."""
        pixels, asked = as_batch(images, phrases)
        return self._answers(self._encode(pixels), asked) if any(asked) else [[] for _ in asked]

    ground_many = ground_many  # as a method

    def _answers(self, encoded: Any, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        told = photograph_warnings(encoded.images, self.clip, self.proposer)
        answers = [
            [replace(answer, warning=warning) for answer in of_image]
            for of_image, warning in zip(self._ground_encoded(encoded, phrases), told, strict=True)
        ]
        told = [warning for warning, asked in zip(told, phrases, strict=True) if asked]
        if not self._has_warned and 2 * sum(map(bool, told)) > len(told):  # of drawings one or the other may look so
            self._has_warned = True
            warnings.warn(max(told), PhotographWarning, stacklevel=3)
        return answers

    def _encoded(self, image: Any) -> Any:
        if not isinstance(image, self.encoded):
            return self._encode([as_image(image)])
        if image.encoded_by != self.identity:
            raise InputError("another CLIP, detector or input size has encoded the image: encode it with this method")
        return image


def as_batch(images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> tuple[list[np.ndarray], list[list[str]]]:
    """Images and the phrases of each, checked as `ground` checks those of one image, and that there are as many."""
    asked = [as_phrases(of_image) for of_image in phrases]
    if len(images) != len(asked):
        raise InputError(f"{len(images)} images and {len(asked)} lists of phrases: give a list of phrases for each")
    return [as_image(image) for image in images], asked


def ground_examples(grounder: Grounder, examples: Sequence[Example] | Sequence[SetExample]) -> list[list[Grounding]]:
    """Per example, one answer per expression; the method sees the image and the phrases, and nothing else.

    An InputError about a phrase names its sent_id.
    """
    with naming_sentences(expression for example in examples for expression in example.expressions):
        return grounder.ground_batch([each.image for each in examples], [each.phrases for each in examples])
