"""HTML pages that need nothing beside them: a comparison's report, and examples to browse.

Pictures, style and text are all inside. Whatever is filled into a template is escaped, and a name that is missing is an
error.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from tqdm import tqdm

from grounding.evaluation.breakdowns import in_order
from grounding.runtime.files import write_text_atomic
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.example_choice import CORRECT_IOU
from grounding.visualization.example_drawing import draw_example, note_of
from grounding.visualization.page_texts import BOUND_SENTENCES, METHOD_SENTENCES, PLOTS, RUN_SENTENCE, UNDESCRIBED
from grounding.visualization.selection import ExampleSelection, ShownExample
from grounding.visualization.tables import (
    breakdown_table,
    caption,
    difference_table,
    localisation_table,
    main_table,
    semantic_table,
    subsets_table,
)

FEW_QUERIES = 100  # below it, the report warns that little can be concluded
SIDE, DPI = 480, 200  # pixels of an example's picture, which is shown at half its size, and how many are an inch
QUALITY = 82


@dataclass(frozen=True)
class ExampleCard:
    """One example as a page shows it.

    Attributes:
        phrase: as annotated.
        picture: data URI of a JPEG of at most `SIDE` pixels wide and high.
        width, height: of the picture in pixels.
        notes: method -> "IoU 0.91, score 0.80".
        iou, score, words: to sort by.
        right: whether the method's IoU is at least 0.5.
        groups: axis -> kinds.
    """

    phrase: str
    picture: str
    width: int
    height: int
    notes: dict[str, str]
    iou: float
    score: float
    words: int
    right: bool
    groups: Mapping[str, Sequence[str]]


def write_report_page(
    results: Mapping[str, Any],
    plots: Mapping[str, Path],
    galleries: Sequence[ExampleSelection],
    path: Path,
    *,
    colours: Mapping[str, str],
    command: str,
) -> None:
    """Write the report of a comparison, whole or not at all.

    Args:
        results: the dict that results.json holds; what it lacks is left out.
        plots: name -> PNG file, as `plots.draw_plots` returns them.
        galleries: in the order of the page; those without examples are left out.
        path: of the HTML file.
        colours: method -> "#RRGGBB", of the boxes.
        command: the command line that repeats the measurement.

    Raises:
        InputError: an image cannot be read.
    """
    methods, bounds = results["methods"], results.get("bounds", {})
    least = min(record["n"] for record in methods.values())
    shown = [(gallery, _cards(gallery, colours)) for gallery in galleries if gallery.sections]
    text = _fill(
        "report.html",
        results=results,
        caption=caption(results),
        methods={name: {**BOUND_SENTENCES, **METHOD_SENTENCES}.get(name, RUN_SENTENCE) for name in methods},
        bounds={name: BOUND_SENTENCES.get(name, UNDESCRIBED) for name in bounds},
        few=least if least < FEW_QUERIES else None,
        main=main_table(results),
        differences=difference_table(results),
        localisation=localisation_table(results),
        semantic=semantic_table(results),
        subsets=subsets_table(results),
        breakdowns=breakdown_table(results),
        plots=[(name, *PLOTS[name], _data_uri(plots[name].read_bytes(), "png")) for name in PLOTS if name in plots],
        galleries=shown,
        colours={name: colours[name] for name in dict.fromkeys(name for each, _ in shown for name in each.names)},
        command=command,
    )
    write_text_atomic(path, text)


def write_gallery_page(
    selection: ExampleSelection, path: Path, *, colours: Mapping[str, str], where: str, weights: str
) -> None:
    """Write a page of examples that filters, sorts and enlarges by itself, whole or not at all.

    Args:
        selection: at least one example; one that stands in several sections is shown once.
        path: of the HTML file.
        colours: method -> "#RRGGBB", of the boxes.
        where: data set and split, for the title.
        weights: which CLIP answered.

    Raises:
        InputError: an image cannot be read.
    """
    cards = _cards(selection, colours)
    text = _fill(
        "gallery.html",
        title=selection.title(where, len(cards)),
        explanation=selection.explanation,
        weights=weights,
        cards=cards,
        filters=_filters(cards),
        colours={name: colours[name] for name in selection.names},
        correct_iou=CORRECT_IOU,
    )
    write_text_atomic(path, text)


def _fill(template: str, **values: Any) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return environment.get_template(template).render(annotated_colour=ANNOTATED_COLOUR, **values)


def _cards(selection: ExampleSelection, colours: Mapping[str, str]) -> list[ExampleCard]:
    """Every example of a selection once."""
    examples = [example for section in selection.sections for example in section.examples]
    once = {example[selection.names[0]]["sent_id"]: example for example in examples}
    return [_card(example, colours) for example in tqdm(once.values(), desc="page", unit="example", disable=None)]


def _card(example: ShownExample, colours: Mapping[str, str]) -> ExampleCard:
    first = next(iter(example.values()))
    picture = Image.fromarray(draw_example(example, colours, width=SIDE, height=SIDE, dpi=DPI))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return ExampleCard(
        phrase=first["phrase"],
        picture=_data_uri(file.getvalue(), "jpeg"),
        width=picture.width,
        height=picture.height,
        notes={name: note_of(answer) for name, answer in example.items()},
        iou=first["iou"],
        score=first["scores"][0],
        words=len(first["phrase"].split()),
        right=first["iou"] >= CORRECT_IOU,
        groups=first["groups"],
    )


def _filters(cards: Sequence[ExampleCard]) -> dict[str, list[tuple[str, int]]]:
    """Axis -> its kinds with the number of cards, where there is something to choose."""
    counted: dict[str, Counter[str]] = {}
    for card in cards:
        for axis, kinds in card.groups.items():
            counted.setdefault(axis, Counter()).update(kinds)
    return {
        axis: sorted(kinds.items(), key=lambda each: in_order(each[0]))
        for axis, kinds in counted.items()
        if min(kinds.values()) < len(cards)
    }


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
