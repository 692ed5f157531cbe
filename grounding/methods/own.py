"""A method of one's own, by the name of its class or as an instance, behind the checks that its answers need."""

from __future__ import annotations

import inspect
import os
import pkgutil
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from grounding.clip.encoder import EncodedImages
from grounding.clip.text import as_phrases
from grounding.data.images import ImageLike
from grounding.methods.grounder import EncodingGrounder, Grounder, as_batch
from grounding.runtime.errors import InputError
from grounding.types import Grounding

if TYPE_CHECKING:
    MethodName = str | Grounder  # in Python, a method of one's own may be given itself
    MethodNames = Sequence[str | Grounder]
else:
    MethodName, MethodNames = str, list[str]  # all that a command line and a file can hold

NAMED = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")  # package.module:Class
FILE_NAME = re.compile(r"\w[\w .+=-]*")  # a method's name is a part of file names
TOLERANCE = 1e-3  # of heat and scores beside [0, 1]


class OwnGrounder(EncodingGrounder):
    """A method of one's own where this project's methods go: its answers are checked, and what it lacks is added.

    Args:
        method: has `ground(image, phrases)`, which takes (H, W, 3) uint8 RGB and a list of texts and returns a
            `Grounding` for each; and, where it likes, `name`, `weights` and `ground_batch` of `Grounder`.
    """

    encoded, text = EncodedImages, None  # what the method remembers of phrases is its own affair

    def __init__(self, method: Any) -> None:
        kind = type(method)
        self.method = method
        self.origin = f"{kind.__module__}:{kind.__qualname__}"  # package.module:Class
        self.identity = (self.origin,)
        if isinstance(method, type) or not callable(getattr(method, "ground", None)):
            raise InputError(f"{self.origin} is no method: it needs ground(image, phrases), as docs/evaluation.md says")
        self.name = getattr(method, "name", kind.__name__)
        self.weights = str(getattr(method, "weights", f"those of {self.origin}"))
        if not (isinstance(self.name, str) and FILE_NAME.fullmatch(self.name)):
            raise InputError(f"{self.origin} has the name {self.name!r}, and files are called after it: use letters, "
                             "digits and -")  # fmt: skip

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedImages:
        return EncodedImages(tuple(images), (), self.identity)  # the method encodes them anew for every question

    def ground(self, image: ImageLike | EncodedImages, phrases: Sequence[str]) -> list[Grounding]:
        """What the method answers, in whatever mode the caller has set, checked by `fault`."""
        [pixels], asked = self._encoded(image).images, as_phrases(phrases)
        return self._checked(self.method.ground(pixels, asked), pixels, asked) if asked else []

    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` of each image, or the method's own way to ask several together."""
        pixels, asked = as_batch(images, phrases)
        together = getattr(self.method, "ground_batch", None)
        if together is None:
            return [self.ground(*each) for each in zip(pixels, asked, strict=True)]
        answers = self._as_many(together(pixels, asked), pixels, "images")
        return [self._checked(*each) for each in zip(answers, pixels, asked, strict=True)]

    def _as_many(self, answers: Any, questions: Sequence[Any], what: str) -> Sequence[Any]:
        if not isinstance(answers, Sequence) or len(answers) != len(questions):
            raise InputError(f"{self.name} answers {len(questions)} {what} with something else than as many answers: "
                             "return a list with a Grounding for each phrase, and of images a list each")  # fmt: skip
        return answers

    def _checked(self, answers: Any, image: np.ndarray, phrases: Sequence[str]) -> list[Grounding]:
        checked = []
        for answer, phrase in zip(self._as_many(answers, phrases, "phrases"), phrases, strict=True):
            wrong = fault(answer, image.shape[:2])
            if wrong:
                raise InputError(f"{self.name}, asked {phrase!r}, answers {wrong}")
            arrays = {name: np.asarray(getattr(answer, name), dtype=np.float32)
                      for name in ("boxes_xyxy", "scores", "heatmap")}  # fmt: skip
            checked.append(replace(answer, phrase=phrase, image=image, **arrays))
        return checked


def own_method(name: Any) -> OwnGrounder | None:
    """The method that "package.module:Class" names, or that is given itself; None where it is another kind of name.

    The module is imported as Python does, from the current folder too. What is named is a class or a function that
    needs no argument and gives a method, or a method itself.
    """
    if isinstance(name, OwnGrounder):
        return name
    if not isinstance(name, str | os.PathLike):
        return OwnGrounder(name)
    name = os.fspath(name)
    if not NAMED.fullmatch(name) or os.path.isdir(name):
        return None
    if os.getcwd() not in sys.path:  # a script has its own folder there
        sys.path.append(os.getcwd())
    try:
        found = pkgutil.resolve_name(name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{name} cannot be found ({error}): correct it, start in its folder, or install it") from error
    if isinstance(found, type) or not hasattr(found, "ground"):
        try:
            inspect.signature(found).bind()
        except TypeError as error:
            raise InputError(f"{name} cannot be made without arguments ({error}): give them defaults, or name a "
                             "function that makes it") from error  # fmt: skip
        found = found()
    return OwnGrounder(found)


def given_by_name(methods: Iterable[Any]) -> list[str]:
    """Those of the methods that are named, as a configuration file could, and not given themselves."""
    return [method for method in methods if isinstance(method, str)]


def fault(answer: Any, size: tuple[int, int]) -> str:
    """What is wrong with an answer about an image of (height, width) pixels, in words with a remedy; "" if nothing."""
    if not isinstance(answer, Grounding):
        return f"a {type(answer).__name__}: return a grounding.Grounding"
    boxes, scores, heatmap = (np.asarray(each) for each in (answer.boxes_xyxy, answer.scores, answer.heatmap))
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not len(boxes) or scores.shape != (len(boxes),):
        return f"boxes of shape {boxes.shape} and scores of shape {scores.shape}: give (N, 4) and (N,), N at least 1"
    if heatmap.shape != size:
        return f"a heatmap of shape {heatmap.shape} for an image of {size}: give it the image's height and width"
    wrong = ~np.isfinite(boxes).all(axis=1) | (boxes[:, 2:] < boxes[:, :2]).any(axis=1)
    if wrong.any():
        return f"the box {boxes[wrong][0].tolist()}: give x1, y1, x2, y2"
    if 0 < boxes.max() <= 1:
        return f"the box {boxes[0].tolist()}, a share of the image's sides it seems: give pixels of the image"
    for what, values in (("scores", scores), ("a heatmap", heatmap)):
        if not (values.min() >= -TOLERANCE and values.max() <= 1 + TOLERANCE):  # nor where one is no number
            return f"{what} from {values.min():g} to {values.max():g}: bring the values into [0, 1]"
    if (np.diff(scores) > 0).any():
        return "boxes that are not in the order of their scores: put the best one first"
    if not set(answer.found) <= set(range(len(boxes))):
        return f"found={answer.found} of {len(boxes)} boxes: give their indices"
    return ""
