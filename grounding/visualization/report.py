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

from grounding.evaluation.compare import EvaluateConfig, compare
from grounding.evaluation.predictions import CORRECT_IOU
from grounding.evaluation.score import ScoreConfig, score
from grounding.evaluation.summary import Summary
from grounding.runtime.files import write_text_atomic
from grounding.visualization.drawing import ANNOTATED_COLOUR
from grounding.visualization.examples import (
    AnswerRow,
    Show,
    ShownExample,
    draw_example,
    rival_of,
    rows_of,
    select_examples,
)
from grounding.visualization.plots import draw_plots, method_colours
from grounding.visualization.table_formats import render
from grounding.visualization.tables import all_tables, caption, main_table, write_tables

PICTURES = 12  # of each kind of examples
SIDE, DPI = 480, 200  # pixels of an example's picture, which is shown at half its size, and how many are an inch
QUALITY = 82


def report_comparison(config: EvaluateConfig) -> str:
    """Compare as `evaluation.compare` does, add tables, plots and report.html, and return the table as text."""

    def report(results: dict[str, Any], summaries: dict[str, Summary]) -> None:
        command = shlex.join(["python", Path(sys.argv[0]).name, *sys.argv[1:]])
        first, *_ = names = list(results["methods"])
        answers = {name: rows_of(summaries[name]) for name in (first, rival_of(first, names)) if name}
        write_report(config.output, results, answers, command=command)

    results = compare(config, report=report)
    return f"{render(main_table(results), 'text')}\nwritten to {config.output}"


def report_score(config: ScoreConfig) -> str:
    """Measure as `evaluation.score` does, add tables where `output` is given, and return the table as text."""
    results = score(config)
    if config.output is not None:
        write_tables(results, config.output)
    return render(main_table(results), "text")


def write_report(
    folder: Path, results: Mapping[str, Any], answers: Mapping[str, Sequence[AnswerRow]], *, command: str
) -> None:
    """Write `tables/`, `plots/` and `report.html`, with nothing of an earlier comparison and without what `results`
    lacks; `answers` are the rows of the first method, and of its rival where there is one."""
    for part in ("tables", "plots"):
        shutil.rmtree(folder / part, ignore_errors=True)
    write_tables(results, folder / "tables")
    plots, colours = draw_plots(results, folder / "plots"), method_colours(results)
    kinds: tuple[Show, ...] = ("random", "best", "worst", "disputed")
    galleries = []
    for show in kinds if len(answers) > 1 else kinds[:3]:
        explanation, examples = select_examples(answers, show, PICTURES)
        galleries.append((show, explanation, [_card(example, colours) for example in examples]))
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    text = environment.get_template("report.html").render(
        results=results,
        caption=caption(results),
        queries=min(record["n"] for record in results["methods"].values()),
        tables={table.name: table for table in all_tables(results)},
        plots={name: _data_uri(file.read_bytes(), "png") for name, file in plots.items()},
        galleries=[gallery for gallery in galleries if gallery[-1]],
        colours={name: colours[name] for name in answers},
        annotated_colour=ANNOTATED_COLOUR,
        command=command,
    )
    write_text_atomic(folder / "report.html", text)


def _card(example: ShownExample, colours: Mapping[str, str]) -> dict[str, Any]:
    """What the page shows of an example: phrase, picture, each answer's IoU and score, whether the first is right."""
    first = next(iter(example.values()))
    picture = Image.fromarray(draw_example(example, colours, side=SIDE, dpi=DPI))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=QUALITY)
    return {
        "phrase": first["phrase"],
        "picture": _data_uri(file.getvalue(), "jpeg"),
        "width": picture.width,
        "height": picture.height,
        "notes": {name: f"IoU {each['iou']:.2f}, score {each['scores'][0]:.2f}" for name, each in example.items()},
        "right": first["iou"] >= CORRECT_IOU,
    }


def _data_uri(data: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{b64encode(data).decode('ascii')}"
