"""Examples of a comparison: which answers are shown, the sentence that says how they were chosen, and their pictures.

Which ones are chosen depends on the answers and the seed, not on their order, and except by lot no two are of the same
image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image

from grounding.data.images import read_image
from grounding.evaluation.predictions import CORRECT_IOU
from grounding.evaluation.summary import Summary, kinds_of
from grounding.visualization.drawing import ANNOTATED_STYLE, RIM, clear_figure, draw_boxes, laid_over

AnswerRow = Mapping[str, Any]  # an answer with what was asked, as `rows_of` makes it
ShownExample = Mapping[str, AnswerRow]  # a phrase's answers: the method's, and the rival's where there is one
Show = Literal["random", "best", "worst", "disputed"]

RIVAL = "yolo-clip"  # whom examples are disputed with, where it takes part
LINE_WIDTH = 1.8  # points, of a method's box
CHOSEN = "No two are of the same image. Chosen as such, they do not say how often this happens."
EXPLANATIONS = {
    "random": "Drawn at random (seed {seed}) from {out_of}: a representative sample.",
    "best": f"The highest IoUs among {{out_of}}. {CHOSEN}",
    "worst": f"Wrong answers, the lowest IoU first and then the highest score, among {{out_of}}. {CHOSEN}",
    "disputed": "By turns where only {method} and where only {rival} is right, the largest gap in IoU first, among "
    f"{{out_of}}. {CHOSEN}",
}


@dataclass(frozen=True)
class ExampleSelection:
    """What is shown.

    Attributes:
        names: the method, and the rival where there is one, in the order of each example's answers.
        show: what kind they are.
        explanation: how they were chosen, out of how many, and what they stand for.
        examples: the first ones first.
    """

    names: tuple[str, ...]
    show: Show
    explanation: str
    examples: tuple[ShownExample, ...]

    def title(self, where: str) -> str:
        """A heading: whose answers they are, on which data and split, and how many of them are shown."""
        count = len(self.examples)
        return f"{' and '.join(self.names)} on {where}: {count:,} {self.show} example{'s' if count != 1 else ''}"


def select_examples(
    answers: Mapping[str, Sequence[AnswerRow]], show: Show, count: int, *, seed: int = 0
) -> ExampleSelection:
    """Up to `count` examples.

    Args:
        answers: the method's rows, and where `show` is "disputed" the rival's.
        show: which ones.
        count: the larger one's examples begin with the smaller one's.
        seed: of the lot.
    """
    method, *rivals = answers
    rows = answers[method]
    if show == "disputed":
        (rival,) = rivals
        pairs = choose_disputed(rows, answers[rival], count)
        examples: list[ShownExample] = [{method: row, rival: other} for row, other in pairs]
    else:
        chosen = {"best": choose_best, "worst": choose_worst}
        of_method = choose_random(rows, count, seed=seed) if show == "random" else chosen[show](rows, count)
        examples = [{method: row} for row in of_method]
    right = " and ".join(f"{name} answers {_share_right(of_method)}" for name, of_method in answers.items())
    out_of = f"{len(rows):,} phrases, of which {right} right (IoU of at least {CORRECT_IOU})"
    explanation = EXPLANATIONS[show].format(out_of=out_of, method=method, rival="".join(rivals), seed=seed)
    return ExampleSelection(tuple(answers), show, explanation, tuple(examples))


def rows_of(summary: Summary) -> list[AnswerRow]:
    """One dict per answer whose expression is known.

    Its keys: "sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy" (best-scored first), "scores", "iou" (of
    the best box), "image_path", and "groups": axis of `breakdowns.AXES`, or "subset", -> the kinds it is of; without
    axes where the image's size is not known, and without "subset" where the data set gives it no tag.
    """
    rows: list[AnswerRow] = []
    for prediction, expression, iou in zip(
        summary.predictions, summary.expressions, summary.values["miou"], strict=True
    ):
        if expression is None:
            continue
        groups: dict[str, tuple[str, ...]] = {}
        if prediction.image_area is not None:
            regions = summary.regions.get(expression.image_id, ())
            groups = {axis: (kind,) for axis, kind in kinds_of(expression, regions, prediction.image_area).items()}
        if expression.tags:
            groups["subset"] = expression.tags
        asked = ("sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy", "scores")
        rows.append({
            **{name: getattr(prediction, name) for name in asked},
            "iou": float(iou), "image_path": expression.image_path, "groups": groups,
        })  # fmt: skip
    return rows


def rival_of(method: str, methods: Sequence[str]) -> str | None:
    """Whom a method is held against in disputed examples: `RIVAL`, else the first other one; None where it is alone."""
    others = [name for name in methods if name != method]
    return RIVAL if RIVAL in others else next(iter(others), None)


def choose_best(rows: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    """The highest IoUs, equal ones by score and then by sent_id."""
    ordered = sorted(rows, key=lambda row: (-row["iou"], -row["scores"][0], row["sent_id"]))
    return _one_per_image(ordered, count)


def choose_worst(rows: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    """The lowest IoUs below 0.5, among equal ones the highest scores, then by sent_id."""
    wrong = [row for row in rows if row["iou"] < CORRECT_IOU]
    ordered = sorted(wrong, key=lambda row: (row["iou"], -row["scores"][0], row["sent_id"]))
    return _one_per_image(ordered, count)


def choose_disputed(
    rows: Iterable[AnswerRow], rival_rows: Iterable[AnswerRow], count: int
) -> list[tuple[AnswerRow, AnswerRow]]:
    """Pairs of answers to one phrase of which exactly one has IoU >= 0.5.

    By turns one where the first method is right and one where the rival is, as long as there are both; on each side the
    largest gap in IoU comes first, equal ones by sent_id. Phrases that only one method answered are passed over.
    """
    by_id = {row["sent_id"]: row for row in rival_rows}
    pairs = [(row, by_id[row["sent_id"]]) for row in rows if row["sent_id"] in by_id]
    pairs.sort(key=lambda pair: (-abs(pair[0]["iou"] - pair[1]["iou"]), pair[0]["sent_id"]))
    sides = [
        [pair for pair in pairs if pair[0]["iou"] >= CORRECT_IOU > pair[1]["iou"]],
        [pair for pair in pairs if pair[1]["iou"] >= CORRECT_IOU > pair[0]["iou"]],
    ]
    chosen: list[tuple[AnswerRow, AnswerRow]] = []
    while len(chosen) < count and any(sides):
        turn = len(chosen) % 2
        pair = (sides[turn] or sides[1 - turn])[0]
        chosen.append(pair)
        sides = [[other for other in side if other[0]["image_id"] != pair[0]["image_id"]] for side in sides]
    return chosen


def choose_random(rows: Iterable[AnswerRow], count: int, *, seed: int) -> list[AnswerRow]:
    """Answers by lot, each as likely: a sample for the method, since several may be of one image, as they are in all.

    A smaller count gives the first of a larger one.
    """
    ordered = sorted(rows, key=lambda row: row["sent_id"])
    return [ordered[index] for index in np.random.default_rng(seed).permutation(len(ordered))[:count]]


def _one_per_image(ordered: Iterable[AnswerRow], count: int) -> list[AnswerRow]:
    first: dict[Any, AnswerRow] = {}
    for row in ordered:
        first.setdefault(row["image_id"], row)
    return list(first.values())[:count]


def _share_right(rows: Sequence[AnswerRow]) -> str:
    # No line may end before the percent sign.
    return f"{100 * sum(row['iou'] >= CORRECT_IOU for row in rows) / max(1, len(rows)):.1f}\N{NO-BREAK SPACE}%"


def draw_example(example: ShownExample, colours: Mapping[str, str], *, side: int, dpi: float) -> np.ndarray:
    """An example's image with the annotated box, dashed and over the others, and each method's best box.

    Args:
        example: method -> its answer, whose "image_path" is read.
        colours: method -> "#RRGGBB".
        side: pixels of the picture's longer side; a small photograph is enlarged.
        dpi: how many of them are an inch for the lines' widths.

    Returns:
        (H, W, 3) uint8 RGB. Boxes that stick out of the photograph end at its border, within it.

    Raises:
        InputError: the image cannot be read.
    """
    asked = next(iter(example.values()))
    image = Image.fromarray(read_image(asked["image_path"]))
    scale = side / max(image.size)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    stretch = np.tile(np.divide(size, image.size), 2)
    figure, axis = clear_figure(size, dpi=dpi)

    def outline(box_xyxy: Sequence[float], **style: Any) -> None:
        inset = (LINE_WIDTH + RIM) / 2 * dpi / 72  # a line along the border is seen whole
        box = np.clip(np.array(box_xyxy) * stretch, inset, np.tile(size, 2) - inset)
        draw_boxes(axis, box[None], **style)

    for name, answer in example.items():
        outline(answer["boxes_xyxy"][0], colour=colours[name], linewidth=LINE_WIDTH)
    outline(asked["annotated_xyxy"], **ANNOTATED_STYLE)
    return laid_over(np.asarray(image.resize(size, Image.Resampling.LANCZOS)), figure)


def note_of(answer: AnswerRow) -> str:
    """How good an answer is and how sure the method was: "IoU 0.91, score 0.80"."""
    return f"IoU {answer['iou']:.2f}, score {answer['scores'][0]:.2f}"
