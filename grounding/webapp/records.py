"""An answer as JSON: what a program makes of it later."""

from __future__ import annotations

import json
from collections.abc import Sequence

from grounding.plain import plain
from grounding.webapp.choices import Choice, Found, chosen_extraction
from grounding.webapp.methods import Method
from grounding.webapp.uploads import Photo


def record(photo: Photo, found: Sequence[Found], method: Method, choice: Choice) -> str:
    """The boxes that are shown, and how they came about.

    Boxes are x1, y1, x2, y2 in pixels of the upright original image, x2 and y2 exclusive; the best comes first.
    """
    extraction = chosen_extraction(method, choice)
    made = {"method": extraction.method, **extraction.parameters} if extraction is not None else None
    content = {
        "image": {"name": photo.name, "width": photo.size[0], "height": photo.size[1]},
        "method": method.grounder.name,
        "weights": method.grounder.weights,
        "extraction": plain(made),
        "lowest_score": choice.lowest_score,
        "most_boxes": choice.most_boxes,
        "answers": [
            {
                "phrase": one.phrase,
                "boxes_xyxy": one.boxes_xyxy.tolist(),
                "scores": one.scores.tolist(),
                "no_proposal": one.no_proposal,
            }
            for one in found
        ],
    }
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
