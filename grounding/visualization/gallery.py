"""`visualize.py gallery`: examples of a finished comparison as a picture and as a page, from its stored answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import NonNegativeInt, PositiveInt

from grounding.data.dataset import GroundingDataset
from grounding.data.open_dataset import open_dataset
from grounding.errors import InputError
from grounding.evaluation.breakdowns import AXES
from grounding.evaluation.predictions import read_predictions
from grounding.evaluation.summary import summarise
from grounding.runtime.config_io import refuse_wrong_values
from grounding.visualization.drawing import save_figure
from grounding.visualization.example_drawing import DPI, draw_gallery
from grounding.visualization.html_pages import write_gallery_page
from grounding.visualization.plots import method_colours
from grounding.visualization.selection import SUBSET, AnswerRow, OfGroup, Show, rival_of, rows_of, select_examples

COUNT, OF_GROUP = 12, 4  # examples in a picture, and of each group in one
MOST_GROUPS = 15  # in a picture
MOST_ON_PAGE = 2000  # about 40 kB each


@dataclass(frozen=True)
class GalleryConfig:
    """Show examples of a finished comparison: a picture of a few, and a page of many to filter and sort.

    Attributes:
        comparison: folder that `evaluate.py compare` wrote.
        method: whose answers are shown; the comparison's first method where it is not given.
        show: "random" is a fair sample; "best", "worst" (confidently wrong) and "disputed" (one of two methods is
            right) are chosen; "breakdown" shows each group of `by`.
        by: groups of a breakdown: "phrase length", "box area", "same-category distractors", "category",
            "location words", "relation words", or "subset" where the data set names any.
        of_group: what is shown of each group of a breakdown: a "random" sample, or "extremes", its best and its worst.
        rival: the other method of disputed examples; yolo-clip where it is not given, or else the first other one.
        count: examples in the picture (12 where it is not given), or of each group of a breakdown (4).
        page_count: examples on the page.
        seed: of the random choice.
        data: the data set, where it is no longer where the comparison found it.
        output: folder for picture and page; that of the comparison where it is not given.
    """

    comparison: Path
    method: str | None = None
    show: Show = "random"
    by: str = "box area"
    of_group: OfGroup = "random"
    rival: str | None = None
    count: PositiveInt | None = None
    page_count: PositiveInt = 240
    seed: NonNegativeInt = 0
    data: Path | None = None
    output: Path | None = None


def gallery(config: GalleryConfig) -> list[Path]:
    """Write the picture and the page, and return their paths. No method is asked anything.

    Raises:
        InputError: the folder holds no comparison, the method or the groups are not in it, no answer is of the kind
            that was asked for, or the data cannot be used.
    """
    refuse_wrong_values(config)
    if config.page_count > MOST_ON_PAGE:
        raise InputError(f"--page_count is {config.page_count}: give at most {MOST_ON_PAGE}, for browsers' sake")
    results = _read_results(config.comparison)
    methods = list(results["methods"])
    method = config.method or methods[0]
    rival = (config.rival or rival_of(method, methods)) if config.show == "disputed" else None
    if config.show == "disputed" and rival is None:
        raise InputError(f"{config.comparison} compares {method} with no other method: choose another --show")
    names = (method, *([rival] if rival else []))
    for name in names:
        if name not in methods:
            raise InputError(f"{config.comparison} has no method {name!r}: choose from {', '.join(methods)}")
    if len(set(names)) < len(names):
        raise InputError(f"--rival {rival} is the method itself: name another one")
    if config.show == "breakdown" and config.by not in (*AXES, SUBSET):
        raise InputError(f"there are no groups by {config.by!r}: choose from {', '.join((*AXES, SUBSET))}")

    root = config.data or Path(results["data"])
    if config.data is None and not root.exists():
        raise InputError(
            f"{config.comparison / 'results.json'} says that the data set is in {root}, which is not there, seen from "
            "here: give its folder as --data"
        )
    dataset = open_dataset(root, results["split"], split_by=results["split_by"])
    answers = {name: _rows(config.comparison, name, dataset) for name in names}
    select = partial(select_examples, answers, config.show, by=config.by, of_group=config.of_group, seed=config.seed)
    few = select(config.count or (OF_GROUP if config.show == "breakdown" else COUNT), most_groups=MOST_GROUPS)
    # The page has room for the examples of all sections together.
    many = select(max(1, config.page_count // max(1, len(select(1).sections))))
    if not few.sections:
        raise InputError(f"no answer of {' and '.join(names)} is to be shown as {config.show!r}: choose another --show")

    where = f"{root.absolute().name}, {results['split']}"
    kind = f"breakdown_{config.by.replace(' ', '-')}_{config.of_group}" if config.show == "breakdown" else config.show
    folder = config.output or config.comparison
    picture, page = (folder / f"gallery_{'_'.join(names)}_{kind}.{suffix}" for suffix in ("png", "html"))
    colours = {name: method_colours(results)[name] for name in names}
    save_figure(draw_gallery(few, colours, where=where), picture, dpi=DPI)
    write_gallery_page(many, page, colours=colours, where=where, weights=results["weights"])
    return [picture, page]


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
