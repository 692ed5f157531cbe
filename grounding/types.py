"""The values that travel between the parts: small, frozen, without logic.

Those that hold arrays are equal to themselves only: what NumPy says of two arrays is no yes or no.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Expression:
    """One referring expression with its annotated box.

    Attributes:
        phrase: the expression as written by the annotator.
        box_xyxy: (x1, y1, x2, y2) in pixels of the original image, x2/y2 exclusive.
        image_id, ref_id, ann_id, sent_id: the identifiers of the data set.
        image_path: file of the image.
        category: name of the object's category, "" where the data set gives none.
        tags: named subsets the expression belongs to ("novel", ...); empty for RefCOCOg.
        parts_xyxy: all boxes of the phrase in data sets where it may have several, such as Flickr30k Entities;
            `box_xyxy` is then the smallest box around them.

    Example:
        >>> expression = grounding.RefCOCOg("data/refshapes", "val").expressions[0]
        >>> isinstance(expression.phrase, str), len(expression.box_xyxy), expression.image_path.is_file()
        (True, 4, True)
    """

    phrase: str
    box_xyxy: tuple[float, float, float, float]
    image_id: int
    ref_id: int
    ann_id: int
    sent_id: int
    image_path: Path
    category: str = ""
    tags: tuple[str, ...] = ()
    parts_xyxy: tuple[tuple[float, float, float, float], ...] = ()


@dataclass(frozen=True)
class SetExpression:
    """One referring expression that names any number of objects, as in gRefCOCO; fields as in `Expression`."""

    phrase: str
    boxes_xyxy: tuple[tuple[float, float, float, float], ...]  # one an object; empty where nothing fits the phrase
    ann_ids: tuple[int, ...]  # the annotation of each
    image_id: int
    ref_id: int
    sent_id: int
    image_path: Path
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Region:
    """One annotated object, whether an expression refers to it or not."""

    ann_id: int
    image_id: int
    box_xyxy: tuple[float, float, float, float]  # clipped to the image where the size of this is known
    category: str  # "" where the data set gives none


@dataclass(frozen=True, eq=False)
class Example:
    """One image with expressions that refer into it: one expression, or all of the image's.

    Attributes:
        image: (H, W, 3) uint8 RGB, upright.
        expressions: at least one, all of this image.
        regions: every annotated object of the image.

    Example:
        >>> example = grounding.RefCOCOg("data/refshapes", "val", group_by="image")[0]
        >>> example.boxes_xyxy.shape == (len(example.phrases), 4), example.image.dtype
        (True, dtype('uint8'))
    """

    image: np.ndarray = field(repr=False)
    expressions: tuple[Expression, ...]
    regions: tuple[Region, ...] = ()

    @property
    def phrases(self) -> list[str]:
        """The phrases, in the order of `expressions`."""
        return [expression.phrase for expression in self.expressions]

    @property
    def boxes_xyxy(self) -> np.ndarray:
        """(N, 4) float32 annotated boxes in pixels of the original image, in the order of `expressions`."""
        return np.array([expression.box_xyxy for expression in self.expressions], dtype=np.float32).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class SetExample:
    """One image with expressions that each name any number of its objects; fields as in `Example`."""

    image: np.ndarray = field(repr=False)
    expressions: tuple[SetExpression, ...]
    regions: tuple[Region, ...] = ()

    @property
    def phrases(self) -> list[str]:
        """The phrases, in the order of `expressions`."""
        return [expression.phrase for expression in self.expressions]

    @property
    def boxes_xyxy(self) -> np.ndarray:
        """(N, 4) float32 all boxes of all expressions, in their order, in pixels of the original image."""
        boxes = [box for expression in self.expressions for box in expression.boxes_xyxy]
        return np.array(boxes, dtype=np.float32).reshape(-1, 4)


@dataclass(frozen=True, eq=False)
class Grounding:
    """Where a phrase is in an image.

    Attributes:
        phrase: what was asked.
        boxes_xyxy: (N, 4) float32, pixels of the original image, best box first; N >= 1.
        scores: (N,) float32 in [0, 1], the highest first.
        heatmap: (H, W) float32 in [0, 1], of the original image's size.
        image: (H, W, 3) uint8 RGB, the original image.
        no_proposal: True where a method that chooses among proposals had none, and answers with the whole image.
        presence: how sure the method is that anything in the image fits the phrase, in [0, 1]: a probability where it
            is calibrated; else of no scale that compares, and 1 where the method cannot tell.
        found: which of the boxes are the answer, best first: several, one, or none where nothing fits the phrase; the
            best one where nothing tells.
        calibrated: whether scores and presence are probabilities; scores of an untrained similarity map are cosines
            else.
        warning: a sentence on why the answer may mean nothing, such as a photograph given to weights that know drawings
            only; "" where nothing speaks against it.

    Example:
        >>> [answer] = grounding.load("refshapes").ground("scene.jpg", ["the circle"])
        >>> answer.boxes_xyxy.shape[1], answer.heatmap.shape == answer.image.shape[:2], 0 <= answer.presence <= 1
        (4, True, True)
        >>> answer.save("circle.png")
    """

    phrase: str
    boxes_xyxy: np.ndarray
    scores: np.ndarray
    heatmap: np.ndarray
    image: np.ndarray
    no_proposal: bool = False
    presence: float = 1.0
    found: tuple[int, ...] = (0,)
    calibrated: bool = False
    warning: str = ""

    def __repr__(self) -> str:
        found = [[round(edge, 1) for edge in box] for box in self.found_xyxy.tolist()]
        return (
            f"Grounding({self.phrase!r}, presence={self.presence:.3f}, found_xyxy={found}, of {len(self.scores)} boxes)"
        )

    @property
    def found_xyxy(self) -> np.ndarray:
        """(M, 4) the boxes that are the answer."""
        return self.boxes_xyxy[list(self.found)]

    def save(self, path: str | Path) -> None:
        """Write a picture of the heatmap and the answer's boxes over the image, with phrase and score; a small one is
        enlarged.

        Args:
            path: its suffix says the format: .png, .jpg, .svg or .pdf.

        Raises:
            InputError: the suffix is another one.
        """
        # Drawing needs matplotlib, which whoever only asks for boxes need not import.
        from grounding.visualization.drawing import heatmap_overlay
        from grounding.visualization.phrases import save_phrases

        save_phrases(heatmap_overlay(self.image, self.heatmap), [self], Path(path), self.warning)
