"""A stream of images with phrases through one method, in bounded memory.

Files are decoded by threads, and one more thread encodes the next images while the present one's phrases are answered:
PIL and PyTorch let go of Python's lock meanwhile. Processes that read images (a DataLoader's) were slower here: a
decoded photograph, or an encoded one, is much to hand from one process to another.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from numbers import Integral
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from grounding.clip.text import as_phrases
from grounding.data.images import ImageLike, as_image
from grounding.geometry import hottest_point
from grounding.runtime.errors import InputError

if TYPE_CHECKING:
    from grounding.methods.grounder import EncodingGrounder

AHEAD = 4
READERS = 2
PHRASES_AT_ONCE = 32  # of an image
# Values of the heatmaps that are there at once, 4 bytes each: of a large photograph fewer phrases go together.
MOST_HEAT = 2**26


class Request(NamedTuple):
    """What the answer is called, an image, and what to look for in it; a plain tuple of the three will do as well."""

    key: str
    image: ImageLike
    phrases: Sequence[str]


@dataclass(frozen=True, eq=False)
class GroundedPhrase:
    """Where a phrase is in an image: a `Grounding` without its heatmap, of which the hottest pixel's centre is kept."""

    phrase: str
    boxes_xyxy: np.ndarray = field(repr=False)
    scores: np.ndarray = field(repr=False)
    point_xy: tuple[float, float]
    found: tuple[int, ...]
    presence: float
    calibrated: bool


@dataclass(frozen=True)
class GroundedImage:
    """The answer to a request.

    Attributes:
        key: of the request.
        width, height: of the image in pixels; 0 where it is broken.
        phrases: one for each that was asked, in their order; none where the request is broken.
        error: why it could not be answered; "" where it was.
        warning: why the answers may mean nothing, as in `Grounding`.

    Example:
        >>> requests = [("first", "scene.jpg", ["the circle"]), ("second", "scene.jpg", ["the star"])]
        >>> [answer.key for answer in grounding.load("refshapes").ground_many(requests)]
        ['first', 'second']
    """

    key: str
    width: int = 0
    height: int = 0
    phrases: tuple[GroundedPhrase, ...] = ()
    error: str = ""
    warning: str = ""


def ground_many(
    grounder: EncodingGrounder,
    requests: Iterable[tuple[str, ImageLike, Sequence[str]]],
    *,
    ahead: int = AHEAD,
    readers: int = READERS,
    skip_broken: bool = False,
) -> Iterator[GroundedImage]:
    """The answers to a stream of requests, in its order; one comes when it is ready and `ahead` more are taken.

    Memory does not grow with the stream nor with the phrases of an image: heatmaps are dropped as soon as their boxes
    are known.

    Args:
        grounder: the method.
        requests: `Request`s; any iterable, it need not end.
        ahead: how many requests at most are taken from the stream beyond the one that is being answered.
        readers: threads that decode image files.
        skip_broken: whether a request that cannot be answered gives a `GroundedImage` with an `error`, and the stream
            goes on.

    Raises:
        InputError: at once: a number is too small or no whole one. With an answer: a request is no three things, an
            image cannot be read, or a phrase is empty or too long; the last two unless they are skipped.
    """
    for name, number, least in (("ahead", ahead, 0), ("readers", readers, 1)):
        if not isinstance(number, Integral) or isinstance(number, bool) or number < least:
            raise InputError(f"{name} is {number!r}: give a whole number of at least {least}")
    return _answers(grounder, iter(requests), ahead, readers, skip_broken)


def _answers(
    grounder: EncodingGrounder, stream: Iterator[Any], ahead: int, readers: int, skip_broken: bool
) -> Iterator[GroundedImage]:
    waiting: deque[tuple[Request, Future[Any]]] = deque()

    def encoded(image: Future[np.ndarray]) -> Any:
        return grounder.encode(image.result())

    with ThreadPoolExecutor(readers) as decoding, ThreadPoolExecutor(1) as encoding:
        try:
            while True:
                for given in islice(stream, 1 + ahead - len(waiting)):
                    if not isinstance(given, tuple | list) or len(given) != 3:
                        raise InputError(f"a request is (key, image, phrases), got {given!r:.100}: give these three")
                    request = Request(*given)
                    image = decoding.submit(as_image, request.image)
                    waiting.append((request, encoding.submit(encoded, image)))
                if not waiting:
                    return
                request, future = waiting.popleft()
                try:
                    answer = _answer(grounder, request, future.result())
                except InputError as error:
                    if not skip_broken:
                        raise
                    answer = GroundedImage(request.key, error=str(error))
                del future  # and with it the encoded image, before the caller takes his time
                yield answer
        finally:
            encoding.shutdown(wait=False, cancel_futures=True)
            decoding.shutdown(wait=False, cancel_futures=True)


def _answer(grounder: EncodingGrounder, request: Request, encoded: Any) -> GroundedImage:
    phrases = as_phrases(request.phrases)
    height, width = encoded.images[0].shape[:2]
    size = max(1, min(PHRASES_AT_ONCE, MOST_HEAT // (height * width)))
    answers, warning = [], ""
    for start in range(0, len(phrases), size):
        for each in grounder.ground(encoded, phrases[start : start + size]):
            warning = each.warning  # of the image: the same for every phrase
            answers.append(GroundedPhrase(each.phrase, each.boxes_xyxy, each.scores, hottest_point(each.heatmap),
                                          each.found, each.presence, each.calibrated))  # fmt: skip
    return GroundedImage(request.key, width, height, tuple(answers), warning=warning)
