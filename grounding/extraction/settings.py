"""Which way leads from a heatmap to boxes, and its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from grounding.errors import SettingsError

PARAMETERS = {
    "components": ("relative", "absolute"),
    "multi_threshold": ("levels",),
    "rectangle": ("offset",),
    "quality": (),
}


@dataclass(frozen=True)
class ExtractionConfig:
    """How boxes are made from a heatmap; `train.py extraction` chooses it on a validation split.

    Attributes:
        method: "components" (connected regions above a threshold), "multi_threshold" (regions above several, the
            most distinct first), "rectangle" (the rectangle that gathers the most evidence), or "quality"
            (candidates of both, ranked by a small network that is fitted for one run).
        relative: of "components": share of the heatmap's maximum that a pixel must reach.
        absolute: of "components": heat that it must reach besides.
        levels: of "multi_threshold": its thresholds, as shares of the maximum.
        offset: of "rectangle": share of the maximum above which heat speaks for a box, and below against it.
    """

    method: Literal["components", "multi_threshold", "rectangle", "quality"] = "components"
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
