"""A method of one's own that ends its process once, as the kernel does where memory is short."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grounding import Grounding, grounding_of_boxes


class Quarter:
    """Answers with a quarter of the image whose corner the first pixel's colour gives."""

    name = "quarter"

    def ground(self, image: np.ndarray, phrases: Sequence[str]) -> list[Grounding]:
        height, width = image.shape[:2]
        x, y = int(image[0, 0, 0]) % (width // 2), int(image[0, 0, 1]) % (height // 2)
        box = np.array([[x, y, x + width // 2, y + height // 2]], dtype=np.float32)
        return [grounding_of_boxes(phrase, box, np.array([0.5]), image) for phrase in phrases]


class KilledOnce(Quarter):
    """The same, after it was killed at the first phrase "die" of all processes."""

    def ground(self, image: np.ndarray, phrases: Sequence[str]) -> list[Grounding]:
        sign = Path(os.environ["SIGN_OF_DEATH"])
        if "die" in phrases and not sign.exists():
            sign.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().ground(image, phrases)
