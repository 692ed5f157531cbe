"""What boxes and heatmaps look like in every picture: matplotlib draws them, this module says how.

The colours of boxes are from Okabe and Ito (2008, "Color Universal Design") or white, so that colour-blind readers can
tell them apart, and dark rims keep them visible on any photograph. The heatmap's colours rise evenly in lightness.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import AbstractPathEffect, withStroke
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxBase
from PIL import Image

from grounding.runtime.errors import InputError
from grounding.runtime.files import atomic_write

BOX_COLOUR = "#56B4E9"
ANNOTATED_COLOUR = "#FFFFFF"
DASHES = (0, (3, 3))
# Over another box, so that both are seen where they coincide.
ANNOTATED_STYLE: dict[str, Any] = {"colour": ANNOTATED_COLOUR, "linewidth": 1.6, "linestyle": DASHES}
# Okabe and Ito's, less black, which the rims are drawn in: of phrases that are asked of one picture, of regions.
PHRASE_COLOURS = (BOX_COLOUR, "#E69F00", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2")
COLOUR_MAP = "inferno"
OPACITY = 0.3  # of the hottest pixel: the colours below can still be told
INK = "#1A1A1A"
LETTER = 0.6  # of a font's size, wide
RIM = 1.2  # points by which the dark line under a coloured one is wider
DPI = 100
FORMATS = ("png", "jpg", "jpeg", "svg", "pdf")
CONTROLS = dict.fromkeys({*range(32), *range(127, 160)} - {ord("\n")}, "\ufffd")


def heatmap_overlay(image: np.ndarray, heatmap: np.ndarray, *, opacity: float = OPACITY) -> np.ndarray:
    """The heatmap (H, W) float32 in [0, 1] in colour over the image (H, W, 3) uint8 RGB, the more opaque the hotter;
    `opacity` is the hottest pixel's, in [0, 1]."""
    heat = np.clip(heatmap, 0, 1)
    levels = (heat * 255).astype(np.uint8)
    # Looked up by level: a picture of every level is computed once, whatever the size of the image.
    steps = np.arange(256, dtype=np.float32) / 255
    colours = (matplotlib.colormaps[COLOUR_MAP](steps)[:, :3] * 255).astype(np.float32)
    # Darkening what is cold keeps the photograph readable and the heat visible on bright pictures.
    kept = (1 - opacity * steps) * (1 - min(1.0, opacity / OPACITY) * 0.4 * (1 - steps))
    added = colours * (opacity * steps)[:, None]
    return (image * kept[levels][..., None] + added[levels]).astype(np.uint8)


def show_image(axis: Axes, image: np.ndarray, **style: Any) -> None:
    """An image or a map on an axis without frame, in the coordinates of boxes: pixel (0, 0) spans 0 to 1."""
    height, width = image.shape[:2]
    axis.imshow(image, extent=(0, width, height, 0), interpolation="nearest", **style)
    axis.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])  # ticks cost time even where they are not seen
    axis.axis("off")


def draw_boxes(
    axis: Axes,
    boxes_xyxy: np.ndarray,
    labels: Sequence[str] = (),
    *,
    colour: str = BOX_COLOUR,
    linewidth: float = 1.8,
    linestyle: Any = "-",
    fontsize: float = 8,
) -> None:
    """Outline boxes (N, 4) on an axis in pixels of their image, each with its label, if any, at its upper left corner;
    `linewidth` is in points, without the rim."""
    for x1, y1, x2, y2 in boxes_xyxy:
        axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=colour, linewidth=linewidth,
                                 linestyle=linestyle, path_effects=rim(linewidth), clip_on=False, zorder=3,
                                 in_layout=False))  # fmt: skip
    plate = {"boxstyle": "square,pad=0.2", "facecolor": colour, "edgecolor": "none"}
    for (x1, y1, _, _), label in zip(boxes_xyxy, labels, strict=False):
        axis.annotate(label, (x1, y1), (0, 2), textcoords="offset points", fontsize=fontsize, color=INK, va="bottom",
                      ha="left", bbox=plate, zorder=4, parse_math=False, annotation_clip=False,
                      in_layout=False)  # fmt: skip


def rim(linewidth: float) -> list[AbstractPathEffect]:
    """The dark line under a coloured one, as path effects."""
    return [withStroke(linewidth=linewidth + RIM, foreground=INK)]


def legend_line(colour: str, linewidth: float, linestyle: Any = "-") -> tuple[Line2D, Line2D]:
    """A line in a legend as it looks on a photograph: on grey ground, for white would not be seen on white."""
    ground = Line2D([], [], color="#8A9099", linewidth=9, solid_capstyle="butt")
    return ground, Line2D([], [], color=colour, linewidth=linewidth, linestyle=linestyle, path_effects=rim(linewidth))


def letters_across(inches: float, size: float) -> int:
    """How many letters of a font of a size in points a line of this length holds."""
    return max(12, int(72 * inches / (LETTER * size)))


def take_literally(figure: Figure) -> None:
    """Have every text of a figure drawn as it stands: matplotlib would take what is between dollars for a formula, and
    print a letter that no font has, and a terminal may obey, in a warning."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_parse_math(False)
        text.set_text(text.get_text().translate(CONTROLS))


def keep_labels_inside(figure: Figure) -> None:
    """Move the labels that `draw_boxes` wrote into their panels, or where these are too narrow into the figure; and
    those that would lie under a later one, which is drawn on top, above or below it."""
    take_literally(figure)
    figure.draw_without_rendering()  # the layout decides where panels are
    renderer, points = FigureCanvasAgg(figure).get_renderer(), 72 / figure.dpi
    for axis in figure.axes:
        panel = axis.get_window_extent(renderer)
        placed: list[Bbox] = []
        for label in reversed([text for text in axis.texts if isinstance(text, Annotation)]):
            plate = label.get_bbox_patch()
            assert plate is not None  # every label has one
            extent = plate.get_window_extent(renderer)
            room = panel if panel.width >= extent.width and panel.height >= extent.height else figure.bbox
            inside = extent.translated(
                max(room.x0 - extent.x0, 0) + min(room.x1 - extent.x1, 0),
                max(room.y0 - extent.y0, 0) + min(room.y1 - extent.y1, 0),
            )
            placed.append(_beside(inside, placed, room))
            across, along = label.xyann
            label.xyann = (
                across + (placed[-1].x0 - extent.x0) * points,
                along + (placed[-1].y0 - extent.y0) * points,
            )


def _beside(extent: Bbox, placed: Sequence[Bbox], room: BboxBase) -> Bbox:
    """A label's place moved up, or else down, until it lies over no other one; where it was if there is no room."""
    for upwards in (True, False):
        moved = extent
        while hit := next((other for other in placed if moved.overlaps(other)), None):
            moved = moved.translated(0, hit.y1 - moved.y0 + 1 if upwards else hit.y0 - moved.y1 - 1)
        if room.y0 <= moved.y0 and moved.y1 <= room.y1:
            return moved
    return extent


def clear_figure(size: tuple[int, int], *, dpi: float = DPI) -> tuple[Figure, Axes]:
    """A figure without anything, and its axis to draw on in pixels of a picture of (width, height), over which
    `laid_over` will lay it; `dpi` of these are an inch for what is drawn."""
    figure = Figure(figsize=(size[0] / dpi, size[1] / dpi), dpi=dpi)
    figure.patch.set_alpha(0)
    axis = figure.add_axes((0, 0, 1, 1), frameon=False, xticks=[], yticks=[], xlim=(0, size[0]), ylim=(size[1], 0))
    return figure, axis


def laid_over(picture: np.ndarray, figure: Figure) -> np.ndarray:
    """The picture (H, W, 3) uint8 RGB with a `clear_figure` of its size over it, in a fraction of the time that
    matplotlib takes where it is given the picture."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn, result = Image.fromarray(np.asarray(canvas.buffer_rgba())), Image.fromarray(picture)
    result.paste(drawn, mask=drawn)
    return np.array(result)


def save_figure(figure: Figure, path: Path, *, dpi: int | None = None) -> None:
    """Write a figure, whole or not at all, in one of `FORMATS`, as the suffix says; the folder is made if missing."""
    kind = path.suffix.lower().lstrip(".")
    if kind not in FORMATS:
        raise InputError(f"{path} has no picture's suffix: end its name in one of .{', .'.join(FORMATS)}")
    take_literally(figure)
    # Without dates and with the same names for its parts, the same picture is the same file.
    metadata = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(kind)
    with atomic_write(path) as unfinished, matplotlib.rc_context({"svg.hashsalt": "grounding"}):
        figure.savefig(unfinished, format=kind, dpi=dpi or "figure", metadata=metadata)
