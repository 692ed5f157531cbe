"""A method of one's own whose process ends, or waits, where a phrase says so."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from grounding import Grounding, grounding_of_boxes


class Quarter:
    """Answers with a quarter of the image whose corner the first pixel's colour gives.

    "die FILE" ends the process as the kernel does where memory is short, unless the file is there; it then is.
    "wait FILE" waits until the file is there, and "nothing" is never there.
    """

    name = "quarter"

    def ground(self, image: np.ndarray, phrases: Sequence[str]) -> list[Grounding]:
        for what, _, sign in (phrase.partition(" ") for phrase in phrases):
            if what == "die" and not Path(sign).exists():
                Path(sign).touch()
                os.kill(os.getpid(), signal.SIGKILL)
            while what == "wait" and not Path(sign).exists():
                time.sleep(0.05)
        height, width = image.shape[:2]
        x, y = int(image[0, 0, 0]) % (width // 2), int(image[0, 0, 1]) % (height // 2)
        box = np.array([[x, y, x + width // 2, y + height // 2]], dtype=np.float32)
        answers = [grounding_of_boxes(phrase, box, np.array([0.5]), image) for phrase in phrases]
        return [replace(each, found=()) if each.phrase == "nothing" else each for each in answers]
