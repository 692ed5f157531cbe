"""What is made of an answer: the picture, the table of boxes, the saved files and the line that says how it went."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from html import escape

import cv2
import numpy as np

from grounding.runtime.config_io import plain
from grounding.types import Grounding
from grounding.visualization.drawing import (
    DPI,
    PHRASE_COLOURS,
    clear_figure,
    draw_boxes,
    heatmap_overlay,
    keep_labels_inside,
    laid_over,
)
from grounding.visualization.phrases import shortened
from grounding.webapp.answers import BoxChoice, PageMethod, extraction_of
from grounding.webapp.uploads import Photo

COLOURS = PHRASE_COLOURS  # one per phrase that may be asked at once
SHOWN_SIDE = 800  # pixels of the longer side on the page: few enough to be drawn at once, enough for legible labels
LARGEST_SAVED_SIDE = 1600
OPTIONS = {".jpg": (cv2.IMWRITE_JPEG_QUALITY, 90)}
NOTHING_YET = '<div class="empty">Drop a photo, or pick an example.</div>'


def draw(
    image: np.ndarray, answers: Sequence[Grounding], *, heat_of: int | None, opacity: float, side: int
) -> np.ndarray:
    """The picture that is shown or saved; lines and letters are the same share of it at every size.

    Args:
        image: (H, W, 3) uint8 RGB.
        answers: per phrase, heatmap and boxes in pixels of the image; none for the photo alone.
        heat_of: index of the phrase whose heatmap lies over the photo; None for the maximum of all.
        opacity: of the heatmap, in [0, 1].
        side: pixels of the picture's longer side.

    Returns:
        (h, w, 3) uint8 RGB.
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    picture = _resized(image, size)
    if answers and opacity:
        heatmaps = [one.heatmap for one in (answers if heat_of is None else [answers[heat_of]])]
        heat = np.maximum.reduce([_resized(heatmap, size) for heatmap in heatmaps])
        picture = heatmap_overlay(picture, heat, opacity=opacity)
    figure, axis = clear_figure(size, dpi=DPI * side / SHOWN_SIDE)
    to_picture = np.tile([size[0] / width, size[1] / height], 2)
    for index, one in reversed(list(enumerate(answers))):  # the first phrase's lie on top
        for rank, box in reversed(list(enumerate(one.boxes_xyxy))):
            phrase = "" if rank else f" {shortened(one.phrase)}"
            label = f"{index + 1}{phrase} {one.scores[rank]:.2f}"
            draw_boxes(axis, box[None] * to_picture, [label], colour=COLOURS[index],
                       linewidth=1.2 if rank else 2.2, fontsize=8 if rank else 9)  # fmt: skip
    keep_labels_inside(figure)
    return laid_over(picture, figure)


def saved_side(image: np.ndarray) -> int:
    """Pixels of the longer side in a saved picture: the photo's own, within reason."""
    return int(np.clip(max(image.shape[:2]), SHOWN_SIDE, LARGEST_SAVED_SIDE))


def encoded(picture: np.ndarray, suffix: str) -> bytes:
    """A picture (H, W, 3) uint8 RGB as a file: ".png", or ".jpg", which is several times quicker to write."""
    return cv2.imencode(suffix, picture[..., ::-1], OPTIONS.get(suffix, ()))[1].tobytes()


def as_json(photo: Photo, answers: Sequence[Grounding], method: PageMethod, choice: BoxChoice) -> str:
    """The boxes that are shown, and how they were made.

    Boxes are x1, y1, x2, y2 in pixels of the upright original image, x2 and y2 exclusive; the best comes first.
    """
    extraction = choice.extraction or extraction_of(method)
    content = {
        "image": {"name": photo.name, "width": photo.size[0], "height": photo.size[1]},
        "method": method.name,
        "weights": method.weights,
        "extraction": plain({"method": extraction.method, **extraction.parameters}) if extraction else None,
        "lowest_score": choice.lowest_score,
        "most_boxes": choice.most_boxes,
        "answers": [
            {"phrase": one.phrase, "boxes_xyxy": one.boxes_xyxy.tolist(), "scores": one.scores.tolist(),
             "found": list(one.found), "presence": one.presence, "no_proposal": one.no_proposal}
            for one in answers
        ],
    }  # fmt: skip
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def image_element(picture: np.ndarray, description: str) -> str:
    """An image element that holds the picture (H, W, 3) uint8 RGB itself, so that none is left on the server's disk."""
    height, width = picture.shape[:2]
    content = b64encode(encoded(picture, ".jpg")).decode()
    return (
        f'<img class="answer" width="{width}" height="{height}" alt="{escaped(description)}" '
        f'src="data:image/jpeg;base64,{content}">'
    )


def box_table(answers: Sequence[Grounding]) -> str:
    """One row per box: the phrase with its colour, its score and its corners in pixels of the original image."""
    rows = []
    for index, one in enumerate(answers):
        note = " <small>(nothing was proposed: the whole image)</small>" if one.no_proposal else ""
        if not one.found and len(one.scores):
            note += f" <small>(nothing fits it; present with probability {one.presence:.2f})</small>"
        mark = f'<td class="mark"><i style="background: {COLOURS[index]}">{index + 1}</i></td>'
        first = f'{mark}<td class="phrase">{escaped(one.phrase)}{note}</td>'
        if not len(one.scores):
            rows.append(f'<tr>{first}<td colspan="5" class="none">no box scores as high</td></tr>')
        for rank, (box, score) in enumerate(zip(one.boxes_xyxy, one.scores, strict=True)):
            corners = "".join(f"<td>{edge:.0f}</td>" for edge in box)
            rows.append(f"<tr>{'<td></td><td></td>' if rank else first}<td>{score:.2f}</td>{corners}</tr>")
    head = "<th></th><th>phrase</th><th>score</th><th>x1</th><th>y1</th><th>x2</th><th>y2</th>"
    return f'<table class="boxes"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def status_line(sentence: str) -> str:
    """A line that tells how it went; screen readers read it out."""
    return f'<p class="status" role="status">{escaped(sentence)}</p>'


def error_line(message: str) -> str:
    """A line that tells why it did not go: a sentence, whose first word may be the name of a file or a setting."""
    message = message.rstrip(".")
    if "." not in message.split(maxsplit=1)[0]:
        message = message[0].upper() + message[1:]
    return f'<p class="status refused" role="alert">{escaped(message)}.</p>'


def escaped(text: str) -> str:
    """Text as it stands, for use within an element or an attribute."""
    # Gradio reads what it shows as a template once more, in which braces and dollar signs have a meaning.
    return escape(text).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")


def _resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """An image or a map at another size: averaged where it shrinks, smooth where it grows."""
    smaller = size[0] < values.shape[1]
    return cv2.resize(values, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR)
