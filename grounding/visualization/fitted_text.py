"""Text that fits the place it gets: broken and shortened as its letters measure, not as they count."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

LEADING = 1.35  # of a line, in font sizes
MOST_LETTERS = 400  # of a line: more are never tried
ELLIPSIS = " …"
RULER = RendererAgg(1, 1, 72)  # at 72 dots per inch a point is one


def fitted(text: str, width: float, size: float, most_lines: int, *, weight: str = "normal") -> list[str]:
    """Lines of a text, the last with an ellipsis where not all of it has room.

    Args:
        text: white space in it counts as one space.
        width: of the place in inches.
        size: of the font in points.
        most_lines: at least 1.
        weight: of the font, as matplotlib's.

    Returns:
        At least one line.
    """
    best, low, high = [ELLIPSIS.strip()], len(ELLIPSIS), min(len(text) + len(ELLIPSIS), MOST_LETTERS)
    while low <= high:
        letters = (low + high) // 2
        lines = textwrap.wrap(text, letters, max_lines=most_lines, placeholder=ELLIPSIS) or [""]
        if all(width_of(line, size, weight=weight) <= width for line in lines):
            best, low = lines, letters + 1
        else:
            high = letters - 1
    return best


def width_of(line: str, size: float, *, weight: str = "normal") -> float:
    """Inches that a line of a font size (points) takes."""
    font = FontProperties(size=size, weight=weight)
    return RULER.get_text_width_height_descent(line, font, False)[0] / 72


def height_of(size: float, lines: Sequence[str] = ("",)) -> float:
    """Inches that lines of a font size (points) take."""
    return size * LEADING * len(lines) / 72
