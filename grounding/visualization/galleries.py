"""Examples that tell more than a mean: the best, the confidently wrong, and those that two methods dispute."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from grounding.data.images import read_image
from grounding.geometry import box_iou
from grounding.visualization.drawing import ANNOTATED_COLOUR, rim
from grounding.visualization.example_choice import CORRECT_IOU, Row, choose_best, choose_disputed, choose_worst

WIDTH, PHOTO_HEIGHT = 360, 292  # pixels of the picture and, at most, of the photograph in it
LINE_HEIGHT = 15  # pixels of a line of text
PHRASE_LINES, PHRASE_LETTERS = 2, 54  # per line
LEGEND_COLUMNS = 3
DPI = 100
DASH = 4.0  # in line widths
SAME_PLACE_IOU = 0.95  # from here on two boxes' lines would hide each other
QUALITY = 88


@dataclass(frozen=True)
class Picture:
    """One example: a JPEG, the phrase it is about, and a note on the answers ("ours: IoU 0.91, score 0.80")."""

    jpeg: bytes
    phrase: str
    note: str


@dataclass(frozen=True)
class Gallery:
    """Pictures under a title, with one sentence on how they were chosen."""

    title: str
    explanation: str
    pictures: tuple[Picture, ...]


def draw_galleries(
    predictions: Mapping[str, Sequence[Row]], colours: Mapping[str, str], *, rival: str | None, count: int
) -> list[Gallery]:
    """The galleries "best", "worst" and, where there is a rival, "disputed".

    Args:
        predictions: method -> its predictions, as `rows.rows_of` gives them; the first method is the one that is shown.
        colours: method -> "#RRGGBB", as `plots.method_colours` gives them.
        rival: the method that the first one is held against, None for none.
        count: pictures per gallery, where there are so many.

    Raises:
        InputError: an image cannot be read.
    """
    first = next(iter(predictions))
    rows = predictions[first]
    chosen = {
        ("Best", f"Where the best box of {first} has the highest IoU."): [
            {first: row} for row in choose_best(rows, count)
        ],
        ("Worst", f"Where {first} is wrong (IoU below {CORRECT_IOU}): lowest IoU first, then highest score."): [
            {first: row} for row in choose_worst(rows, count)
        ],
    }
    if rival is not None:
        sentence = (
            f"By turns where only {first} and where only {rival} has IoU of at least {CORRECT_IOU}, largest gap first."
        )
        chosen[("Disputed", sentence)] = [
            {first: row, rival: other} for row, other in choose_disputed(rows, predictions[rival], count)
        ]
    return [
        Gallery(title, explanation, tuple(_picture(answers, colours) for answers in examples))
        for (title, explanation), examples in chosen.items()
    ]


def draw_example(
    image: np.ndarray,
    phrase: str,
    annotated_xyxy: Sequence[float],
    boxes: Mapping[str, Sequence[float]],
    *,
    colours: Mapping[str, str],
) -> bytes:
    """A JPEG of at most 360 pixels a side: the phrase, the photograph with its boxes, and whose box is which.

    The annotated box is the wide white line, under the others. Methods whose boxes nearly coincide share a dashed line.

    Args:
        image: (H, W, 3) uint8 RGB; small ones are enlarged.
        phrase: drawn above, shortened to two lines.
        annotated_xyxy: (x1, y1, x2, y2) in pixels of the image.
        boxes: method -> its box (x1, y1, x2, y2) in pixels of the image.
        colours: method -> "#RRGGBB".
    """
    height, width = image.shape[:2]
    scale = min(WIDTH / width, PHOTO_HEIGHT / height)
    above = textwrap.wrap(f'"{phrase}"', PHRASE_LETTERS, max_lines=PHRASE_LINES, placeholder=' …"')
    rows = -(-(1 + len(boxes)) // LEGEND_COLUMNS)
    top, bottom = (lines * LINE_HEIGHT + 4 for lines in (len(above), rows))
    total = top + round(height * scale) + bottom
    figure = Figure(figsize=(WIDTH / DPI, total / DPI), dpi=DPI)
    figure.text(0.5, 1 - 3 / total, "\n".join(above), ha="center", va="top", fontsize=8, parse_math=False)
    share = width * scale / WIDTH
    axis = figure.add_axes(((1 - share) / 2, bottom / total, share, (total - top - bottom) / total))
    axis.axis("off")
    axis.imshow(image, extent=(0, width, height, 0), aspect="auto")
    lines = {"annotated": (annotated_xyxy, ANNOTATED_COLOUR, 2.8)}
    lines.update({method: (box, colours[method], 1.4) for method, box in boxes.items()})
    dashes = _dashes(list(boxes.values()))
    size = np.array([width, height, width, height])
    for (box, colour, line_width), style in zip(lines.values(), ["-", *dashes], strict=True):
        x1, y1, x2, y2 = np.clip(np.asarray(box, dtype=float), 0, size)
        # Dark rims keep the lines visible on bright ground; they lie under all lines, so as to hide none.
        for order, ink, thickness in ((2, "#00000099", line_width + 1), (3, colour, line_width)):
            axis.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=ink, linewidth=thickness,
                                     linestyle=style, clip_on=False, zorder=order))  # fmt: skip
    handles = [
        Line2D([], [], color=colour, linewidth=thick, label=name, path_effects=rim(thick))
        for name, (_, colour, thick) in lines.items()
    ]
    figure.legend(handles=handles, loc="lower center", ncols=LEGEND_COLUMNS, fontsize=7.5, frameon=False, borderpad=0,
                  borderaxespad=0.3, labelspacing=0.3, handlelength=2.4, columnspacing=1.2)  # fmt: skip
    jpeg = io.BytesIO()
    figure.savefig(jpeg, format="jpeg", pil_kwargs={"quality": QUALITY})
    return jpeg.getvalue()


def _picture(answers: Mapping[str, Row], colours: Mapping[str, str]) -> Picture:
    row = next(iter(answers.values()))
    boxes = {method: answer["boxes_xyxy"][0] for method, answer in answers.items()}
    image = read_image(row["image_path"])
    jpeg = draw_example(image, row["phrase"], row["annotated_xyxy"], boxes, colours=colours)
    notes = [
        f"{method}: IoU {answer['iou']:.2f}, score {answer['scores'][0]:.2f}" for method, answer in answers.items()
    ]
    return Picture(jpeg, row["phrase"], "; ".join(notes))


def _dashes(boxes: Sequence[Sequence[float]]) -> list[Any]:
    """Line styles: solid where a box stands alone; those at nearly the same place draw the line's parts by turns."""
    same = box_iou(np.array(boxes), np.array(boxes)) >= SAME_PLACE_IOU
    return [
        "-" if row.sum() < 2 else (DASH * row[:index].sum(), (DASH, DASH * (row.sum() - 1)))
        for index, row in enumerate(same)
    ]
