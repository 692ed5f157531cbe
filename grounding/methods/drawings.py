"""The weights that come with this package know drawings only: whoever asks them about a photograph is told so."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from grounding.clip.backbone import EMBEDDED, LoadedCLIP
from grounding.methods.proposals import EMBEDDED_NAME, Proposer

SIDE = 128  # pixels of the thumbnail that is judged
VALUES = np.arange(256) / 255
LINEAR = np.where(VALUES <= 0.04045, VALUES / 12.92, ((VALUES + 0.055) / 1.055) ** 2.4)  # sRGB's (IEC 61966-2-1)
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of red, green and blue
BLACK = 0.0108  # luminance, of 1, below which a pixel is nearly black
MOST_OF_A_DRAWING = 7.4
MOST_GREY_OF_A_DRAWING = 3.0  # bits


class PhotographWarning(UserWarning):
    """Weights that know drawings only are asked about a photograph."""


def photograph_warnings(images: Sequence[np.ndarray], clip: LoadedCLIP, detector: Proposer | None = None) -> list[str]:
    """A sentence about each image (H, W, 3) uint8 RGB that looks like a photograph, "" where it does not.

    There is none where neither CLIP nor detector come with this package.
    """
    knows_all = clip.name != EMBEDDED
    embedded = ["the embedded CLIP"] * (not knows_all)
    embedded += ["the embedded detector"] * (detector is not None and detector.name == EMBEDDED_NAME)
    if not embedded:
        return [""] * len(images)
    remedy = "give proposals.detector" if knows_all else "ask RN50 or a run on photographs"
    sentence = (
        f"this looks like a photograph, and {' and '.join(embedded)} know{'s' * (len(embedded) == 1)} "
        f"drawings only: boxes and scores mean nothing; {remedy}"
    )
    return [sentence * looks_like_a_photograph(image) for image in images]


def looks_like_a_photograph(image: np.ndarray) -> bool:
    """Whether an image (H, W, 3) uint8 RGB is none of RefShapes' drawings, by the statistics of its colours.

    Photographs have more different colours, and parts that are nearly black; or no colour at all, but many greys. Of
    7,500 images of RefShapes 2.1 % are taken for photographs, of 141 photographs of COCO 91 %.
    """
    height, width = image.shape[:2]
    sampled = image[:: 1 + height // (4 * SIDE), :: 1 + width // (4 * SIDE)]  # a large photograph takes long else
    scale = SIDE / max(sampled.shape[:2])
    size = tuple(max(1, round(side * scale)) for side in sampled.shape[1::-1])
    small = cv2.resize(sampled, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    colours = (np.asarray(small, dtype=np.int64) >> 3).reshape(-1, 3) @ (1 << 10, 1 << 5, 1)
    shares = np.bincount(colours) / len(colours)
    bits = -float((shares[shares > 0] * np.log2(shares[shares > 0])).sum())
    if not np.ptp(small, axis=2).any():
        return bits > MOST_GREY_OF_A_DRAWING
    # Not cv2.cvtColor to Lab: its tables take a tenth of a second, which the first answer would wait for.
    black = float((LINEAR[small] @ LUMINANCE < BLACK).mean())
    return bits + 20 * min(black, 0.2) > MOST_OF_A_DRAWING
