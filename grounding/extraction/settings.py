"""Which way leads from a heatmap to boxes: its parameters, the call, and the choice that a run folder keeps.

The choice is extraction.yaml, and box_quality.safetensors if it asks so. Both are written beside their place and
renamed, the network before the file that names it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from grounding.extraction.components import boxes_from_heatmap, distinct_boxes
from grounding.extraction.grabcut import boxes_by_grabcut
from grounding.extraction.quality import BoxQualityHead, boxes_by_quality
from grounding.extraction.rectangle import rectangles_from_heatmap
from grounding.runtime.config_io import plain, read_settings
from grounding.runtime.errors import InputError, SettingsError
from grounding.runtime.files import atomic_write, write_text_atomic

PARAMETERS = {
    "components": ("relative", "absolute"),
    "multi_threshold": ("levels",),
    "rectangle": ("offset",),
    "quality": (),
    "grabcut": (),
}
EXTRACTION_FILE = "extraction.yaml"
QUALITY_FILE = "box_quality.safetensors"


@dataclass(frozen=True)
class ExtractionConfig:
    """How boxes are made from a heatmap; `train.py extraction` chooses it on a validation split.

    Attributes:
        method: "components" (connected regions above a threshold), "multi_threshold" (regions above several, the
            most distinct first), "rectangle" (the rectangle that gathers the most evidence), "quality" (candidates of
            both, ranked by a small network that is fitted for one run), or "grabcut" (what GrabCut makes of the image,
            started by the heatmap; for maps that do not know objects' edges).
        relative: of "components": share of the heatmap's maximum that a pixel must reach.
        absolute: of "components": heat that it must reach besides.
        levels: of "multi_threshold": its thresholds, as shares of the maximum.
        offset: of "rectangle": share of the maximum above which heat speaks for a box, and below against it.
    """

    method: Literal["components", "multi_threshold", "rectangle", "quality", "grabcut"] = "components"
    relative: float = 0.5
    absolute: float = 0.0
    levels: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
    offset: float = 0.5

    def __post_init__(self) -> None:
        if self.method not in PARAMETERS:
            raise SettingsError(f"extraction.method is {self.method!r}: give one of {', '.join(PARAMETERS)}")
        if not (0 < self.relative <= 1 and 0 <= self.absolute < 1):
            raise SettingsError(
                f"extraction.relative is {self.relative} and extraction.absolute {self.absolute}: "
                "give the first in (0, 1] and the second in [0, 1)"
            )
        if not self.levels or not all(0 < level <= 1 for level in self.levels):
            raise SettingsError(f"extraction.levels is {list(self.levels)}: give at least one level, each in (0, 1]")
        if not 0 < self.offset < 1:
            raise SettingsError(f"extraction.offset is {self.offset}: give a share of the maximum between 0 and 1")

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that the method looks at, by name."""
        return {name: getattr(self, name) for name in PARAMETERS[self.method]}


def extract(
    heatmap: np.ndarray,
    config: ExtractionConfig,
    quality_head: BoxQualityHead | None = None,
    image: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes from a heatmap.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        config: the method and its parameters.
        quality_head: for the method "quality".
        image: (H, W, 3) uint8 RGB, for the method "grabcut".

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32 in [0, 1], best first;
        N >= 1.

    Raises:
        SettingsError: the method is "quality" and there is no head, or "grabcut" and there is no image.
        ValueError: heatmap is not 2-D or empty, or holds NaN.

    Example:
        >>> from grounding.extraction import ExtractionConfig
        >>> heatmap = np.zeros((6, 8), np.float32)
        >>> heatmap[1:4, 2:7] = 1
        >>> extract(heatmap, ExtractionConfig("components", relative=0.5))[0]
        array([[2., 1., 7., 4.]], dtype=float32)
    """
    if config.method == "multi_threshold":
        return distinct_boxes(heatmap, levels=config.levels)
    if config.method == "rectangle":
        return rectangles_from_heatmap(heatmap, offset=config.offset)
    if config.method == "grabcut":
        if image is None:
            raise SettingsError("extraction.method is 'grabcut', which needs the image, and here is only a heatmap")
        return boxes_by_grabcut(image, heatmap)
    if config.method == "quality":
        return boxes_by_quality(heatmap, required_head(config, quality_head))
    return boxes_from_heatmap(heatmap, relative_threshold=config.relative, absolute_threshold=config.absolute)


def required_head(config: ExtractionConfig, quality_head: BoxQualityHead | None) -> BoxQualityHead:
    """The head that the method "quality" needs; SettingsError where there is none."""
    if quality_head is None:
        raise SettingsError(
            f"extraction.method is {config.method!r}, which ranks boxes by a network fitted for a trained run: "
            "give another method, or run train.py extraction on the run"
        )
    return quality_head


def save_extraction(folder: Path, config: ExtractionConfig, quality_head: BoxQualityHead | None = None) -> None:
    """Keep a choice in a run folder, in place of an earlier one; with its head, where the method is "quality"."""
    path = folder / QUALITY_FILE
    if config.method == "quality":
        head = required_head(config, quality_head)
        with atomic_write(path) as unfinished:
            save_file(head.state_dict(), unfinished)
    write_text_atomic(folder / EXTRACTION_FILE, yaml.safe_dump(plain(config), sort_keys=False))
    if config.method != "quality":
        path.unlink(missing_ok=True)


def read_extraction(folder: Path) -> tuple[ExtractionConfig, BoxQualityHead | None] | None:
    """The choice kept in a run folder; None where nothing was chosen. InputError where a file is damaged or missing."""
    path = folder / EXTRACTION_FILE
    if not path.is_file():
        return None
    again = "then choose again with train.py extraction"
    config = read_settings(path, ExtractionConfig, f"remove it to go back to the run's config.yaml, {again}")
    if config.method != "quality":
        return config, None
    path, head = folder / QUALITY_FILE, BoxQualityHead()
    try:
        head.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(
            f"{path}, which {EXTRACTION_FILE} needs, is missing or damaged: remove {EXTRACTION_FILE}, {again}"
        ) from error
    return config, head.eval().requires_grad_(False)
