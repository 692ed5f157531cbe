"""The parts of the page that are written for each answer: the picture, the table and the line that says how it went."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from html import escape

import numpy as np

from grounding.webapp.choices import Found
from grounding.webapp.pictures import COLOURS, as_jpeg

NOTHING_YET = '<div class="empty">Drop a photo on the left, or pick an example.</div>'


def picture_of(picture: np.ndarray, description: str) -> str:
    """An image element that holds the picture (H, W, 3) uint8 RGB itself, so that none is left on the server's disk."""
    height, width = picture.shape[:2]
    content = b64encode(as_jpeg(picture)).decode()
    return (
        f'<img class="answer" width="{width}" height="{height}" alt="{escaped(description)}" '
        f'src="data:image/jpeg;base64,{content}">'
    )


def table_of(found: Sequence[Found]) -> str:
    """One row per box: the phrase with its colour, its score and its corners in pixels of the original image."""
    rows = []
    for index, one in enumerate(found):
        unsaid = " <small>(nothing was proposed: the whole image)</small>" if one.no_proposal else ""
        mark = f'<td class="mark"><i style="background: {COLOURS[index]}">{index + 1}</i></td>'
        first = f'{mark}<td class="phrase">{escaped(one.phrase)}{unsaid}</td>'
        if not len(one.scores):
            rows.append(f'<tr>{first}<td colspan="5" class="none">no box scores as high</td></tr>')
        for rank, (box, score) in enumerate(zip(one.boxes_xyxy, one.scores, strict=True)):
            corners = "".join(f"<td>{edge:.0f}</td>" for edge in box)
            rows.append(f"<tr>{'<td></td><td></td>' if rank else first}<td>{score:.2f}</td>{corners}</tr>")
    head = "<th></th><th>phrase</th><th>score</th><th>x1</th><th>y1</th><th>x2</th><th>y2</th>"
    return f'<table class="boxes"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def said(sentence: str) -> str:
    """A line that tells how it went; screen readers read it out."""
    return f'<p class="status" role="status">{escaped(sentence)}</p>'


def refused(sentence: str) -> str:
    """A line that tells why it did not go."""
    return f'<p class="status refused" role="alert">{escaped(sentence)}</p>'


def escaped(text: str) -> str:
    """Text as it stands, for use within an element or an attribute."""
    # Gradio reads what it shows as a template once more, in which braces and dollar signs have a meaning.
    return escape(text).replace("{", "&#123;").replace("}", "&#125;").replace("$", "&#36;").replace("`", "&#96;")
