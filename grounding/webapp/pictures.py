"""What is made of an answer: the picture, the table of boxes, the saved record and the line that says how it went."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import replace
from html import escape

import cv2
import numpy as np

from grounding.extraction import ExtractionConfig
from grounding.geometry import Letterbox
from grounding.runtime.config_io import plain
from grounding.types import Grounding
from grounding.visualization.drawing import (
    DPI,
    PHRASE_COLOURS,
    clear_figure,
    heatmap_overlay,
    keep_labels_inside,
    laid_over,
)
from grounding.visualization.phrases import draw_phrases, shortened
from grounding.webapp.answers import PageMethod
from grounding.webapp.uploads import Photo

SHOWN_SIDE = 800  # pixels of the longer side on the page: few enough to be drawn at once, enough for legible labels
FULL_SIDE = 700  # at which letters and lines have the size that they have in other pictures
ABSENT = "probably not there"
NOTHING_YET = '<div class="empty">Drop a photo, or pick an example.</div>'


def draw(photo: Photo, answers: Sequence[Grounding], *, opacity: float = 0.0) -> np.ndarray:
    """The picture that is shown, (h, w, 3) uint8 RGB with `SHOWN_SIDE` pixels on its longer side: over the photo the
    hottest of the answers' heatmaps, and the boxes that are found."""
    size = Letterbox.fit(photo.size, SHOWN_SIDE).content_size
    picture = _resized(photo.pixels, size)
    if answers and opacity:
        heat = np.maximum.reduce([_resized(one.heatmap, size) for one in answers])
        picture = heatmap_overlay(picture, heat, opacity=opacity)
    figure, axis = clear_figure(size, dpi=DPI * SHOWN_SIDE / FULL_SIDE)
    to_picture = np.tile(np.divide(size, photo.size), 2).astype(np.float32)
    numbered = [replace(one, phrase=f"{number} {shortened(one.phrase)}", boxes_xyxy=one.boxes_xyxy * to_picture)
                for number, one in enumerate(answers, 1)]  # fmt: skip
    draw_phrases(axis, numbered)
    keep_labels_inside(figure)
    return laid_over(picture, figure)


def as_json(photo: Photo, answers: Sequence[Grounding], method: PageMethod, extraction: ExtractionConfig | None) -> str:
    """All candidates, best first, which of them are found, and how they were made; boxes are x1, y1, x2, y2 in pixels
    of the upright original image, x2 and y2 exclusive."""
    content = {
        "image": {"name": photo.name, "width": photo.size[0], "height": photo.size[1]},
        "method": method.name,
        "weights": method.weights,
        "extraction": plain({"method": extraction.method, **extraction.parameters}) if extraction else None,
        "warning": answers[0].warning,
        "answers": [
            {"phrase": one.phrase, "boxes_xyxy": one.boxes_xyxy.tolist(), "scores": one.scores.tolist(),
             "found": list(one.found), "presence": one.presence, "calibrated": one.calibrated,
             "no_proposal": one.no_proposal}
            for one in answers
        ],
    }  # fmt: skip
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def image_element(picture: np.ndarray, description: str) -> str:
    """An image element that holds the picture (H, W, 3) uint8 RGB itself, so that none is left on the server's disk."""
    height, width = picture.shape[:2]
    # As a JPEG, which is several times quicker to write than a PNG.
    content = b64encode(cv2.imencode(".jpg", picture[..., ::-1], (cv2.IMWRITE_JPEG_QUALITY, 90))[1]).decode()
    return (
        f'<img class="answer" width="{width}" height="{height}" alt="{escaped(description)}" '
        f'src="data:image/jpeg;base64,{content}">'
    )


def box_table(answers: Sequence[Grounding]) -> str:
    """One row per box that is found: the phrase with its colour, the score and the corners in pixels of the original
    image; the other candidates in a table of their own, which opens on demand."""
    found: list[str] = []
    others: list[str] = []
    for index, one in enumerate(answers):
        mark = f'<td class="mark"><i style="background: {PHRASE_COLOURS[index]}">{index + 1}</i></td>'
        aside = " <small>(nothing was proposed: the whole image)</small>" if one.no_proposal else ""
        first = f'{mark}<td class="phrase">{escaped(one.phrase)}{aside}</td>'
        if not one.found:
            found.append(f'<tr>{first}<td colspan="5" class="none">{ABSENT}: presence {one.presence:.2f}</td></tr>')
        candidates = tuple(rank for rank in range(len(one.scores)) if rank not in one.found)
        for rows, ranks in ((found, one.found), (others, candidates)):
            for rank, box in zip(ranks, one.boxes_xyxy[list(ranks)], strict=True):
                corners = "".join(f"<td>{edge:.0f}</td>" for edge in box)
                cells = "<td></td><td></td>" if rank != ranks[0] else first
                rows.append(f"<tr>{cells}<td>{one.scores[rank]:.2f}</td>{corners}</tr>")
    if not others:
        return _table(found)
    count = f"{len(others)} more candidate{'s' * (len(others) > 1)}"
    return f"{_table(found)}<details><summary>{count}</summary>{_table(others)}</details>"


def _table(rows: Sequence[str]) -> str:
    head = "<th></th><th>phrase</th><th>score</th><th>x1</th><th>y1</th><th>x2</th><th>y2</th>"
    return f'<table class="boxes"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def status_line(sentence: str, warning: str = "") -> str:
    """A line that tells how it went, and a warning below; screen readers read it out."""
    below = f"<strong>{escaped(warning[0].upper() + warning[1:])}.</strong>" if warning else ""
    return f'<p class="status" role="status">{escaped(sentence)}{below}</p>'


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
