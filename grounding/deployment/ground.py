"""`python -m grounding PHOTO_OR_FOLDER "the red car" "a dog"`: where phrases are in pictures of one's own.

Pictures are read, answered and written one after the other, so that a folder may be as large as it likes. Work that
is to go on after a kill is `deployment.bulk`'s.
"""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

from tqdm import tqdm

from grounding.data.images import images_in, read_image
from grounding.deployment.bulk import record_of
from grounding.errors import InputError, visible
from grounding.methods.config import ModelConfig
from grounding.methods.load import load
from grounding.methods.names import BLIND
from grounding.methods.stream import EncodeOnceGrounder, GroundedImage
from grounding.runtime.files import atomic_write

COLUMNS = ("image", "phrase", "x1", "y1", "x2", "y2", "score", "presence", "note")
SUFFIXES = (".csv", ".json", ".jsonl")
WIDEST = 36  # letters of a name or a phrase in the table
Writer = Callable[[GroundedImage], None]


def ground_pictures(options: Namespace) -> None:
    """Answers what the command line of `python -m grounding` asks; the table goes to stdout, all else to stderr.

    Raises:
        InputError: the pictures, a phrase, the model or the output cannot be used.
    """
    if options.output is not None and options.output.suffix not in SUFFIXES:
        raise InputError(f"output is {options.output}: give a file that ends in {', '.join(SUFFIXES)}")
    if options.model in BLIND:
        raise InputError(f"model is {options.model!r}, which looks at no image: give RN50, or the folder of a run")
    paths = images_in(options.image)
    model = ModelConfig(trust_checkpoint=options.trust_checkpoint)
    # As all that look at images.
    grounder = cast(EncodeOnceGrounder, load(options.model, model=model, device="auto", fast=options.fast))
    if grounder.text is not None:
        grounder.text(options.phrases)  # a phrase that cannot be asked is no fault of a picture
    print(f"asking {grounder.name}: {grounder.weights}", file=sys.stderr)
    requests = ((str(path), path, options.phrases) for path in paths)
    answers = grounder.ground_many(requests, skip_broken=options.skip_broken)
    table = _Table([visible(str(path)) for path in paths], options.phrases)
    with ExitStack() as held:
        writers: list[Writer] = [table.write]
        if options.output is not None:
            writers.append(held.enter_context(_file_writer(options.output)))
        if options.pictures is not None:
            writers.append(_picture_writer(options.pictures, paths))
        for answer in tqdm(answers, total=len(paths), unit="image", disable=len(paths) == 1):
            for write in writers:
                write(answer)
    table.finish()


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


class _Table:
    """Rows on stdout as they come, and below them what they mean."""

    def __init__(self, names: Sequence[str], phrases: Sequence[str]) -> None:
        self._widths = [min(WIDEST, max(map(len, texts))) for texts in (("image", *names), ("phrase", *phrases))]
        self._notes: dict[str, None] = {}
        self._line("image", "phrase", "score", "presence", "x1", "y1", "x2", "y2")

    def _line(self, image: str, phrase: str, *cells: str) -> None:
        wide, long = self._widths
        image, phrase = visible(image), visible(phrase)
        image = image if len(image) <= wide else f"…{image[1 - wide :]}"  # paths differ at their ends
        phrase = phrase if len(phrase) <= long else f"{phrase[: long - 1]}…"
        tqdm.write("  ".join([f"{image:{wide}}", f"{phrase:{long}}", *(f"{cell:>8}" for cell in cells)]).rstrip())

    def write(self, answer: GroundedImage) -> None:
        """The rows of an image."""
        if answer.warning:
            self._notes[f"* {answer.warning}"] = None
        for row in rows_of(answer):
            if row["x1"] == "":
                self._line(row["image"], row["phrase"], visible(str(row["note"])))
                continue
            presence = "-" if row["presence"] == "" else f"{row['presence']:.2f}"
            star = "*" if answer.warning else ""
            self._line(row["image"], row["phrase"], f"{row['score']:.2f}{star}", presence,
                       *(f"{row[edge]:.1f}" for edge in COLUMNS[2:6]))  # fmt: skip
        if answer.phrases and not answer.phrases[0].calibrated:
            self._notes["scores are not calibrated: they compare boxes of one phrase, and whether it is there at all "
                        "(presence) is not known"] = None  # fmt: skip

    def finish(self) -> None:
        """What the numbers mean, and what they do not."""
        for note in self._notes:
            print(note)


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
