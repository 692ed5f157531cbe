"""`visualize.py gallery`: examples of a finished comparison as a page, from its stored answers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveInt

from grounding.data.dataset import GroundingDataset
from grounding.data.open_dataset import open_dataset
from grounding.errors import InputError
from grounding.evaluation.predictions import CORRECT_IOU, read_predictions
from grounding.evaluation.summary import in_order, summarise
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.files import write_text_atomic
from grounding.visualization.examples import AnswerRow, ExampleSelection, Show, rival_of, rows_of, select_examples
from grounding.visualization.plots import method_colours
from grounding.visualization.report import cards_of, fill_template

MOST_ON_PAGE = 2000  # about 40 kB each


@dataclass(frozen=True)
class GalleryConfig:
    """Show examples of a finished comparison on a page to filter and sort.

    Attributes:
        comparison: folder that `evaluate.py compare` wrote.
        method: whose answers are shown; the comparison's first method where it is not given.
        show: "random" is a fair sample; "best", "worst" (confidently wrong) and "disputed" (either the method or
            yolo-clip is right; where that does not take part, the first other method) are chosen.
        count: examples on the page.
        seed: of the random choice.
        data: the data set, where it is no longer where the comparison found it.
        output: folder for the page; that of the comparison where it is not given.
    """

    comparison: Path
    method: str | None = None
    show: Show = "random"
    count: PositiveInt = 240
    seed: NonNegativeInt = 0
    data: Path | None = None
    output: Path | None = None


def gallery(config: GalleryConfig) -> list[Path]:
    """Write the page and return its path. No method is asked anything.

    Raises:
        InputError: the folder holds no comparison, the method is not in it, no answer is of the kind that was asked
            for, or the data cannot be used.
    """
    refuse_wrong_values(config)
    if config.count > MOST_ON_PAGE:
        raise InputError(f"--count is {config.count}: give at most {MOST_ON_PAGE}, for browsers' sake")
    results = _read_results(config.comparison)
    methods = list(results["methods"])
    names = [config.method or methods[0]]
    if names[0] not in methods:
        raise InputError(f"{config.comparison} has no method {names[0]!r}: choose from {', '.join(methods)}")
    if config.show == "disputed":
        rival = rival_of(names[0], methods)
        if rival is None:
            raise InputError(f"{config.comparison} compares {names[0]} with no other method: choose another --show")
        names.append(rival)
    root = config.data or Path(results["data"])
    if config.data is None and not root.exists():
        raise InputError(
            f"{config.comparison / 'results.json'} says that the data set is in {root}, which is not there, seen from "
            "here: give its folder as --data"
        )
    dataset = open_dataset(root, results["split"], split_by=results["split_by"])
    answers = {name: _rows(config.comparison, name, dataset) for name in names}
    selection = select_examples(answers, config.show, config.count, seed=config.seed)
    if not selection.examples:
        raise InputError(f"no answer of {' and '.join(names)} is to be shown as {config.show!r}: choose another --show")
    page = (config.output or config.comparison) / f"gallery_{'_'.join(names)}_{config.show}.html"
    where, colours = f"{root.absolute().name}, {results['split']}", method_colours(results)
    write_gallery_page(selection, page, colours=colours, where=where, weights=results["weights"])
    return [page]


def write_gallery_page(
    selection: ExampleSelection, path: Path, *, colours: Mapping[str, str], where: str, weights: str
) -> None:
    """Write a page of examples that filters, sorts and enlarges by itself, whole or not at all.

    Args:
        selection: at least one example.
        path: of the HTML file.
        colours: method -> "#RRGGBB", of the boxes.
        where: data set and split, for the title.
        weights: which CLIP answered.

    Raises:
        InputError: an image cannot be read.
    """
    cards = cards_of(selection, colours)
    text = fill_template(
        "gallery.html",
        title=selection.title(where),
        explanation=selection.explanation,
        weights=weights,
        cards=cards,
        filters=_filters(cards),
        colours={name: colours[name] for name in selection.names},
        correct_iou=CORRECT_IOU,
    )
    write_text_atomic(path, text)


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


def _read_results(folder: Path) -> dict[str, Any]:
    path = folder / "results.json"
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"there is no {path}: give a folder that evaluate.py compare has finished") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged: make it again by evaluate.py compare") from error
    known = results if isinstance(results, dict) else {}
    for key in ("data", "split", "split_by", "weights", "methods"):
        if key not in known:
            raise InputError(f"{path} does not say {key!r}: make it again by evaluate.py compare")
    return known


def _rows(comparison: Path, method: str, dataset: GroundingDataset) -> list[AnswerRow]:
    """The method's answers with what was asked."""
    path = comparison / "predictions" / f"{method}.jsonl"
    if not path.is_file():
        raise InputError(f"there is no {path}: make it again by evaluate.py compare")
    predictions = list(read_predictions(path))
    expressions = {each.sent_id: each for each in dataset.expressions}
    rows = rows_of(summarise(predictions, expressions, dataset.regions)) if predictions else []
    if len(rows) < len(predictions) or not rows:
        raise InputError(f"{path} answers what {dataset.root} does not ask: give the comparison's own data by --data")
    return rows
