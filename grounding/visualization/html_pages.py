"""HTML pages that need nothing beside them: a comparison's report, and examples to browse.

Pictures, style and text are all inside. Whatever is filled into a template is escaped, and a name that is missing is an
error.
"""

from __future__ import annotations

import io
from base64 import b64encode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from tqdm import tqdm

from grounding.evaluation.breakdowns import in_order
from grounding.runtime.files import write_text_atomic
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.example_drawing import draw_example, note_of
from grounding.visualization.selection import CORRECT_IOU, ExampleSelection, ShownExample
from grounding.visualization.tables import all_tables, caption

SIDE, DPI = 480, 200  # pixels of an example's picture, which is shown at half its size, and how many are an inch
QUALITY = 82


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
    shown = [(gallery, _cards(gallery, colours)) for gallery in galleries if gallery.sections]
    text = _fill(
        "report.html",
        results=results,
        caption=caption(results),
        queries=min(record["n"] for record in results["methods"].values()),
        tables={table.name: table for table in all_tables(results)},
        plots={name: _data_uri(file.read_bytes(), "png") for name, file in plots.items()},
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


def _cards(selection: ExampleSelection, colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every example of a selection once, as `_card` makes it."""
    examples = [example for section in selection.sections for example in section.examples]
    once = {example[selection.names[0]]["sent_id"]: example for example in examples}
    return [_card(example, colours) for example in tqdm(once.values(), desc="page", unit="example", disable=None)]


def _card(example: ShownExample, colours: Mapping[str, str]) -> dict[str, Any]:
    """What a page shows of an example: the first method's row, and

    picture: data URI of a JPEG of `width` x `height` pixels, at most `SIDE` of each;
    notes: method -> "IoU 0.91, score 0.80";
    right: whether the first method's IoU is at least 0.5.
    """
    first = next(iter(example.values()))
    picture = Image.fromarray(draw_example(example, colours, width=SIDE, height=SIDE, dpi=DPI))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return {
        **first,
        "picture": _data_uri(file.getvalue(), "jpeg"),
        "width": picture.width,
        "height": picture.height,
        "notes": {name: note_of(answer) for name, answer in example.items()},
        "right": first["iou"] >= CORRECT_IOU,
    }


def _filters(cards: Sequence[Mapping[str, Any]]) -> dict[str, list[tuple[str, int]]]:
    """Axis -> its kinds with the number of cards, where there is something to choose."""
    counted: dict[str, Counter[str]] = {}
    for card in cards:
        for axis, kinds in card["groups"].items():
            counted.setdefault(axis, Counter()).update(kinds)
    return {
        axis: sorted(kinds.items(), key=lambda each: in_order(each[0]))
        for axis, kinds in counted.items()
        if min(kinds.values()) < len(cards)
    }


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
