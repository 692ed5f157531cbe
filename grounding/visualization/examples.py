"""Examples of a comparison: which answers are shown, the sentence that says how they were chosen, and their pictures.

Which ones are chosen depends on the answers, not on their order, and except by lot no two are of the same image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from PIL import Image

from grounding.data.images import read_image
from grounding.evaluation.predictions import CORRECT_IOU
from grounding.evaluation.summary import Summary
from grounding.geometry import Letterbox
from grounding.visualization.drawing import ANNOTATED_STYLE, RIM, clear_figure, draw_boxes, laid_over

AnswerRow = Mapping[str, Any]  # an answer with what was asked, as `rows_of` makes it
ShownExample = Mapping[str, AnswerRow]  # a phrase's answers: the method's, and the rival's where there is one
Show = Literal["random", "best", "worst", "disputed"]

SEED = 0  # of the lot
RIVAL = "yolo-clip"  # whom examples are disputed with, where it takes part
LINE_WIDTH = 1.8  # points, of a method's box
CHOSEN = "No two are of the same image. Chosen as such, they do not say how often this happens."
EXPLANATIONS = {
    "random": "Drawn at random from {out_of}: a representative sample.",
    "best": f"The highest IoUs among {{out_of}}. {CHOSEN}",
    "worst": f"Wrong answers, the lowest IoU first and then the highest score, among {{out_of}}. {CHOSEN}",
    "disputed": "By turns where only {method} and where only {rival} is right, the largest gap in IoU first, among "
    f"{{out_of}}. {CHOSEN}",
}


def rows_of(summary: Summary) -> list[AnswerRow]:
    """What was asked and answered, of each answer whose expression is known; "iou" is of the best-scored box."""
    asked = ("sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy", "scores")
    return [
        {**{name: getattr(prediction, name) for name in asked}, "iou": float(iou), "image_path": expression.image_path}
        for prediction, expression, iou in zip(
            summary.predictions, summary.expressions, summary.values["miou"], strict=True
        )
        if expression is not None
    ]


def rival_of(method: str, methods: Sequence[str]) -> str | None:
    """Whom a method is held against in disputed examples: `RIVAL`, else the first other one; None where it is alone."""
    others = [name for name in methods if name != method]
    return RIVAL if RIVAL in others else next(iter(others), None)


def select_examples(
    answers: Mapping[str, Sequence[AnswerRow]], show: Show, count: int
) -> tuple[str, list[ShownExample]]:
    """Up to `count` examples: of the first method, or where they are to be "disputed" of it and the second; before
    them how they were chosen, out of how many, and what they stand for."""
    names = tuple(answers)[: 2 if show == "disputed" else 1]
    rows = answers[names[0]]
    if show == "disputed":
        pairs = choose_disputed(rows, answers[names[1]], count)
    else:
        pairs = [(row,) for row in choose(rows, show, count)]
    right = " and ".join(f"{name} answers {_share_right(answers[name])}" for name in names)
    out_of = f"{len(rows):,} phrases, of which {right} right (IoU of at least {CORRECT_IOU})"
    explanation = EXPLANATIONS[show].format(out_of=out_of, method=names[0], rival=names[-1])
    return explanation, [dict(zip(names, pair, strict=True)) for pair in pairs]


def choose(rows: Iterable[AnswerRow], show: Show, count: int) -> list[AnswerRow]:
    """Answers of one method; of equal ones the first by sent_id.

    At "random" each is as likely: a fair sample, in which several may be of one image, as they are in all. The "best"
    have the highest IoUs, the "worst" the lowest ones below 0.5; among equal ones the highest scores come first.
    """
    ordered = sorted(rows, key=lambda row: row["sent_id"])
    if show == "random":
        return [ordered[index] for index in np.random.default_rng(SEED).permutation(len(ordered))[:count]]
    if show == "worst":
        ordered = [row for row in ordered if row["iou"] < CORRECT_IOU]
    ordered.sort(key=lambda row: (row["iou"] if show == "worst" else -row["iou"], -row["scores"][0]))
    of_image: dict[Any, AnswerRow] = {}
    for row in ordered:
        of_image.setdefault(row["image_id"], row)
    return list(of_image.values())[:count]


def choose_disputed(
    rows: Iterable[AnswerRow], rival_rows: Iterable[AnswerRow], count: int
) -> list[tuple[AnswerRow, ...]]:
    """Pairs of answers to one phrase of which exactly one has IoU >= 0.5.

    By turns one where the first method is right and one where the rival is, as long as there are both; on each side the
    largest gap in IoU comes first, equal ones by sent_id. Both have answered the same phrases, in one order.
    """
    pairs = sorted(zip(rows, rival_rows, strict=True),
                   key=lambda pair: (-abs(pair[0]["iou"] - pair[1]["iou"]), pair[0]["sent_id"]))  # fmt: skip
    sides = [
        [pair for pair in pairs if pair[0]["iou"] >= CORRECT_IOU > pair[1]["iou"]],
        [pair for pair in pairs if pair[1]["iou"] >= CORRECT_IOU > pair[0]["iou"]],
    ]
    chosen: list[tuple[AnswerRow, ...]] = []
    while len(chosen) < count and any(sides):
        turn = len(chosen) % 2
        pair = (sides[turn] or sides[1 - turn])[0]
        chosen.append(pair)
        sides = [[other for other in side if other[0]["image_id"] != pair[0]["image_id"]] for side in sides]
    return chosen


def _share_right(rows: Sequence[AnswerRow]) -> str:
    # No line may end before the percent sign.
    return f"{100 * sum(row['iou'] >= CORRECT_IOU for row in rows) / max(1, len(rows)):.1f}\N{NO-BREAK SPACE}%"


def draw_example(example: ShownExample, colours: Mapping[str, str], *, side: int, dpi: float) -> np.ndarray:
    """An example's image with the annotated box, dashed and over the others, and each method's best box: (H, W, 3)
    uint8 RGB, `side` pixels at its longer side, `dpi` of which are an inch for the lines' widths. Boxes that stick out
    of the photograph end at its border, within it."""
    asked = next(iter(example.values()))
    image = Image.fromarray(read_image(asked["image_path"]))
    size = Letterbox.fit(image.size, side).content_size
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
