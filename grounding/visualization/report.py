"""The folder of a comparison: tables, plots and a page that needs nothing beside it, from results and predictions."""

from __future__ import annotations

import io
import shlex
import shutil
import sys
from base64 import b64encode
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image
from tqdm import tqdm

from grounding.evaluation.compare import Comparison, EvaluateConfig, compare
from grounding.evaluation.predictions import CORRECT_IOU
from grounding.evaluation.score import ScoreConfig, score
from grounding.evaluation.summary import Summary
from grounding.runtime.files import write_text_atomic
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.examples import (
    ExampleSelection,
    ShownExample,
    draw_example,
    note_of,
    rival_of,
    rows_of,
    select_examples,
)
from grounding.visualization.plots import draw_plots, method_colours
from grounding.visualization.table_formats import render
from grounding.visualization.tables import all_tables, caption, main_table, write_tables

PICTURES = 12  # in a gallery
SIDE, DPI = 480, 200  # pixels of an example's picture, which is shown at half its size, and how many are an inch
QUALITY = 82


def report_comparison(config: EvaluateConfig) -> str:
    """Compare as `evaluation.compare` does, add tables, plots and report.html, and return the table as text.

    Returns:
        The table; "" in all processes but the first.

    Raises:
        InputError: as `compare`.
    """

    def report(comparison: Comparison) -> None:
        command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
        write_report(config.output, comparison.results, comparison.summaries, command=command)

    comparison = compare(config, report=report)
    if comparison is None:
        return ""
    return f"{render(main_table(comparison.results), 'text')}\nwritten to {config.output}"


def report_score(config: ScoreConfig) -> str:
    """Measure as `evaluation.score` does, add tables where `output` is given, and return the table as text.

    Raises:
        InputError: as `score`.
    """
    results = score(config)
    if config.output is not None:
        write_tables(results, config.output)
    return render(main_table(results), "text")


def write_report(folder: Path, results: Mapping[str, Any], summaries: Mapping[str, Summary], *, command: str) -> None:
    """Write `tables/`, `plots/` and `report.html`; nothing of an earlier comparison stays in them.

    Args:
        folder: of the comparison.
        results: what results.json holds.
        summaries: method -> its measured answers, whose expressions name their images.
        command: that repeats the comparison.

    Raises:
        InputError: an image cannot be read.
    """
    for part in ("tables", "plots"):
        shutil.rmtree(folder / part, ignore_errors=True)
    write_tables(results, folder / "tables")
    plots = draw_plots(results, folder / "plots")
    first = next(iter(results["methods"]))
    rival = rival_of(first, list(results["methods"]))
    answers = {name: rows_of(summaries[name]) for name in (first, rival) if name}
    galleries = [
        select_examples({first: answers[first]}, "best", PICTURES),
        select_examples({first: answers[first]}, "worst", PICTURES),
        *([select_examples(answers, "disputed", PICTURES)] if rival else []),
    ]
    write_report_page(
        results, plots, galleries, folder / "report.html", colours=method_colours(results), command=command
    )


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
    shown = [(gallery, cards_of(gallery, colours)) for gallery in galleries if gallery.examples]
    text = fill_template(
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


def fill_template(template: str, **values: Any) -> str:
    """A page of `templates/` that needs nothing beside it; what is filled in is escaped, a missing name an error."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.policies["json.dumps_kwargs"] = {"sort_keys": False}
    return environment.get_template(template).render(annotated_colour=ANNOTATED_COLOUR, **values)


def cards_of(selection: ExampleSelection, colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """What a page shows of each example: see `_card`."""
    shown = tqdm(selection.examples, desc="page", unit="example", disable=None)
    return [_card(example, colours) for example in shown]


def _card(example: ShownExample, colours: Mapping[str, str]) -> dict[str, Any]:
    """What a page shows of an example: the first method's row, and

    picture: data URI of a JPEG of `width` x `height` pixels, at most `SIDE` of each;
    notes: method -> "IoU 0.91, score 0.80";
    right: whether the first method's IoU is at least 0.5.
    """
    first = next(iter(example.values()))
    picture = Image.fromarray(draw_example(example, colours, side=SIDE, dpi=DPI))
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


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
