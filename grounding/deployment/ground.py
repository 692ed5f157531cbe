"""`python -m grounding PHOTO_OR_FOLDER "the red car" "a dog"`: where phrases are in pictures of one's own.

Pictures are read, answered and written one after the other. Work that is to go on after a kill is `deployment.bulk`'s.
"""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tabulate import tabulate
from tqdm import tqdm

from grounding.data.images import images_in, read_image
from grounding.deployment.bulk import record_of
from grounding.methods.config import ModelConfig
from grounding.methods.load import load
from grounding.methods.stream import GroundedImage
from grounding.runtime.errors import InputError, visible
from grounding.runtime.files import atomic_write

COLUMNS = ("image", "phrase", "x1", "y1", "x2", "y2", "score", "presence", "note")
SUFFIXES = (".csv", ".json", ".jsonl")
Writer = Callable[[GroundedImage], None]


def ground_pictures(options: Namespace) -> None:
    """Answers what the command line of `python -m grounding` asks; the table goes to stdout, all else to stderr."""
    if options.output is not None and options.output.suffix not in SUFFIXES:
        raise InputError(f"output is {options.output}: give a file that ends in {', '.join(SUFFIXES)}")
    paths = images_in(options.image)
    model = ModelConfig(trust_checkpoint=options.trust_checkpoint)
    grounder = load(options.model, model=model, device="auto", fast=options.fast)
    if grounder.text is not None:
        grounder.text(options.phrases)  # a phrase that cannot be asked is no fault of a picture
    print(f"asking {grounder.name}: {grounder.weights}", file=sys.stderr)
    requests = ((str(path), path, options.phrases) for path in paths)
    answers = grounder.ground_many(requests, skip_broken=options.skip_broken)
    rows: list[dict[str, Any]] = []
    notes: dict[str, None] = {}
    with ExitStack() as held:
        writers: list[Writer] = []
        if options.output is not None:
            writers.append(held.enter_context(_file_writer(options.output)))
        if options.pictures is not None:
            writers.append(_picture_writer(options.pictures, paths))
        for answer in tqdm(answers, total=len(paths), unit="image", disable=len(paths) == 1):
            for write in writers:
                write(answer)
            is_doubtful = {"note": "*"} if answer.warning else {}  # said once, below
            rows += [row | (is_doubtful if row["x1"] != "" else {}) for row in rows_of(answer)]
            notes |= {f"* {answer.warning}": None} if answer.warning else {}
            if answer.phrases and not answer.phrases[0].calibrated:
                notes["scores are not calibrated: they compare boxes of one phrase, and whether it is there at all "
                      "(presence) is not known"] = None  # fmt: skip
    print(_table(rows), *notes, sep="\n")


def rows_of(answer: GroundedImage) -> Iterator[dict[str, Any]]:
    """A row of `COLUMNS` for each box that is an answer; one without a box where nothing is, or the image is broken."""
    if answer.error:
        yield dict.fromkeys(COLUMNS, "") | {"image": answer.key, "note": answer.error}
    for each in answer.phrases:
        row: dict[str, Any] = dict.fromkeys(COLUMNS, "") | {"image": answer.key, "phrase": each.phrase}
        row["note"] = answer.warning
        row["presence"] = round(each.presence, 5) if each.calibrated else ""
        for index in each.found:
            edges = (round(float(edge), 3) for edge in each.boxes_xyxy[index])
            yield row | dict(zip(COLUMNS[2:6], edges, strict=True)) | {"score": round(float(each.scores[index]), 5)}
        if not each.found:
            yield row | {"note": "; ".join(filter(None, ("nothing fits it", answer.warning)))}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows of `COLUMNS` as text, with as many digits as one looks at."""
    digits = {"score": ".2f", "presence": ".2f"} | dict.fromkeys(COLUMNS[2:6], ".1f")
    cells = [[visible(cell) if isinstance(cell, str) else f"{cell:{digits[name]}}" for name, cell in row.items()]
             for row in rows]  # fmt: skip
    sides = ["right" if name in digits else "left" for name in COLUMNS]
    return tabulate(cells, COLUMNS, "plain", disable_numparse=True, colalign=sides)


@contextmanager
def _file_writer(path: Path) -> Iterator[Writer]:
    """Writes answers in the format that the file's suffix says; the file appears when all are written."""
    with (
        atomic_write(path) as unfinished,
        unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        if path.suffix == ".csv":
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            yield lambda answer: table.writerows(rows_of(answer))
        elif path.suffix == ".jsonl":
            yield lambda answer: print(json.dumps(record_of(answer)), file=file)
        else:
            before = iter(("[\n",))
            yield lambda answer: print(next(before, ",\n") + json.dumps(record_of(answer)), end="", file=file)
            print("\n]", file=file)


def _picture_writer(folder: Path, paths: Sequence[Path]) -> Writer:
    # Drawing needs matplotlib, which boxes do not.
    from grounding.visualization.commands import named
    from grounding.visualization.phrases import save_phrases

    names = {str(path): name for name, path in named(list(paths))}

    def write(answer: GroundedImage) -> None:
        if not answer.error:
            save_phrases(read_image(answer.key), answer.phrases, folder / f"{names[answer.key]}.png", answer.warning)

    return write
