"""Questions answered: an image is encoded once, a phrase asked once, and boxes are made anew as often as one likes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Lock

import numpy as np

from grounding.baselines.yolo_clip import EncodedProposals
from grounding.encoder import EncodedImages
from grounding.errors import InputError
from grounding.memory import LRUCache
from grounding.webapp.choices import Choice, Found, chosen_boxes
from grounding.webapp.methods import Method
from grounding.webapp.uploads import Photo, pixels_of, receive


class Answerer:
    """Answers for all users; what it keeps belongs to images and phrases, never to a user.

    Args:
        methods: by name.
        memory: for decoded images, their encodings and heatmaps.
        max_pixels: of an image that is received.
    """

    def __init__(self, methods: Mapping[str, Method], memory: LRUCache, *, max_pixels: int) -> None:
        self.methods = methods
        self._memory = memory
        self._max_pixels = max_pixels
        # The models use all cores already, and the text towers' memories are not made for threads.
        self._models = Lock()

    def receive(self, path: Path) -> Photo:
        """A photo, checked.

        Raises:
            InputError: it has too many pixels or cannot be read.
        """
        photo, pixels = receive(path, max_pixels=self._max_pixels)
        self._memory.put((photo.key,), pixels, pixels.nbytes)
        return photo

    def pixels(self, photo: Photo) -> np.ndarray:
        """(H, W, 3) uint8 RGB, decoded again where it was not kept.

        Raises:
            InputError: its file was removed.
        """
        pixels = self._memory.get((photo.key,))
        if pixels is None:
            if not photo.path.is_file():
                raise InputError(f"{photo.name} is no longer kept by the server: give it again")
            pixels = pixels_of(photo.path)
            self._memory.put((photo.key,), pixels, pixels.nbytes)
        return pixels

    def found(self, photo: Photo, phrases: Sequence[str], choice: Choice) -> list[Found]:
        """The chosen boxes of each phrase, and its heatmap; the models run only for what has not been asked yet.

        Raises:
            InputError: a phrase is too long, or the choice is none of the method's.
        """
        method = self.methods[choice.method]
        return [chosen_boxes(whole, method, choice) for whole in self._asked(photo, phrases, choice.method)]

    def _asked(self, photo: Photo, phrases: Sequence[str], name: str) -> list[Found]:
        known = self._kept(photo, phrases, name)
        if any(phrase not in known for phrase in phrases):
            with self._models:
                known |= self._kept(photo, phrases, name)  # others may have asked the same while this one waited
                new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in known]
                if new:
                    known |= self._asked_anew(photo, new, name)
        return [known[phrase] for phrase in phrases]

    def _kept(self, photo: Photo, phrases: Sequence[str], name: str) -> dict[str, Found]:
        kept = {phrase: self._memory.get((photo.key, name, phrase)) for phrase in phrases}
        return {phrase: found for phrase, found in kept.items() if found is not None}

    def _asked_anew(self, photo: Photo, phrases: list[str], name: str) -> dict[str, Found]:
        method = self.methods[name]
        known = {}
        for one in method.grounder.ground(self._encoded(photo, method), phrases):  # type: ignore[arg-type]
            found = Found(one.phrase, one.boxes_xyxy, one.scores, one.heatmap, one.no_proposal)
            known[one.phrase] = found
            size = sum(array.nbytes for array in (found.boxes_xyxy, found.scores, found.heatmap))
            self._memory.put((photo.key, name, one.phrase), found, size)
        return known

    def _encoded(self, photo: Photo, method: Method) -> EncodedImages | EncodedProposals:
        key = (photo.key, method.family)
        encoded = self._memory.get(key)
        if encoded is None:
            encoded = method.grounder.encode(self.pixels(photo))
            self._memory.put(key, encoded, encoded.nbytes)
        return encoded
