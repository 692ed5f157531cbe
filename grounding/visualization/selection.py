"""Which answers are shown, in which sections, and the sentences that say how they were chosen.

Which ones are chosen depends on the answers and the seed, not on their order, and except by lot no two are of the same
image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from grounding.evaluation.breakdowns import in_order, kinds_of
from grounding.evaluation.predictions import CORRECT_IOU
from grounding.evaluation.summary import Summary

AnswerRow = Mapping[str, Any]  # an answer with what was asked, as `rows_of` makes it
ShownExample = Mapping[str, AnswerRow]  # a phrase's answers: the method's, and the rival's where there is one
Show = Literal["random", "best", "worst", "disputed", "breakdown"]
OfGroup = Literal["random", "extremes"]

SUBSET = "subset"  # the axis of the data set's own tags, beside those of `breakdowns.AXES`
RIVAL = "yolo-clip"  # whom examples are disputed with, where it takes part
CHOSEN = "No two are of the same image. Chosen as such, they do not say how often this happens."
# Of `show`, and of a breakdown by `of_group` as well.
EXPLANATIONS = {
    "random": "Drawn at random (seed {seed}) from {out_of}: a representative sample.",
    "best": f"The highest IoUs among {{out_of}}. {CHOSEN}",
    "worst": f"Wrong answers, the lowest IoU first and then the highest score, among {{out_of}}. {CHOSEN}",
    "disputed": "By turns where only {method} and where only {rival} is right, the largest gap in IoU first, among "
    f"{{out_of}}. {CHOSEN}",
    "breakdown random": "By {by}: up to {count} of each group, drawn at random (seed {seed}) from {out_of}. "
    "Representative of each group, not of all phrases: rare groups show as many as frequent ones.",
    "breakdown extremes": "By {by}: up to {count} of each group's highest IoUs and as many of its wrong answers, the "
    f"lowest IoU first, among {{out_of}}. Within a row of these: {CHOSEN[0].lower()}{CHOSEN[1:]}",
}


@dataclass(frozen=True)
class ExampleSection:
    """Examples under one heading, and what is said of the group they are from; both "" where there is no group."""

    title: str
    note: str
    examples: tuple[ShownExample, ...]


@dataclass(frozen=True)
class ExampleSelection:
    """What is shown.

    Attributes:
        names: the method, and the rival where there is one, in the order of each example's answers.
        adjective: what kind they are, as "random".
        explanation: how they were chosen, out of how many, and what they stand for.
        sections: without empty ones.
    """

    names: tuple[str, ...]
    adjective: str
    explanation: str
    sections: tuple[ExampleSection, ...]

    def title(self, where: str, count: int) -> str:
        """A heading: whose answers they are, on which data and split, and how many of them are shown."""
        return f"{' and '.join(self.names)} on {where}: {count:,} {self.adjective} example{'s' if count != 1 else ''}"


def select_examples(
    answers: Mapping[str, Sequence[AnswerRow]],
    show: Show,
    count: int,
    *,
    by: str = "",
    of_group: OfGroup = "random",
    seed: int = 0,
    most_groups: int | None = None,
) -> ExampleSelection:
    """Up to `count` examples, or so many of each group; `gallery.GalleryConfig` tells what the settings mean.

    Args:
        answers: the method's rows, and where `show` is "disputed" the rival's.
        show: which ones.
        count: the larger one's examples hold the smaller one's.
        by: axis of a breakdown.
        of_group: which ones of each of its groups.
        seed: of the lot.
        most_groups: of a breakdown; the most frequent ones are kept.
    """
    method, *rivals = answers
    rows = answers[method]
    right = " and ".join(f"{name} answers {_share_right(of_method)}" for name, of_method in answers.items())
    kind = f"breakdown {of_group}" if show == "breakdown" else show
    explanation = EXPLANATIONS[kind].format(
        out_of=f"{len(rows):,} phrases, of which {right} right (IoU of at least {CORRECT_IOU})",
        method=method, rival="".join(rivals), by=by, count=count, seed=seed,
    )  # fmt: skip
    chosen: dict[tuple[str, str], Iterable[ShownExample]] = {}  # (title, note) of a section -> its examples
    if show == "breakdown":
        groups = _groups(rows, by)
        frequent = sorted(groups, key=lambda group: (-len(groups[group]), in_order(group)))[:most_groups]
        if len(frequent) < len(groups):
            explanation += f" The {len(frequent)} most frequent of {len(groups)} groups."
        for group in (each for each in groups if each in frequent):
            inside = groups[group]
            note = f"{len(inside):,} phrase{'s' if len(inside) != 1 else ''}, {_share_right(inside)} right"
            if of_group == "random":
                chosen[group, note] = _alone(method, choose_random(inside, count, seed=seed))
            else:
                chosen[f"{group}: best", note] = _alone(method, choose_best(inside, count))
                chosen[f"{group}: worst", note] = _alone(method, choose_worst(inside, count))
    elif show == "disputed":
        pairs = choose_disputed(rows, answers[rivals[0]], count)
        chosen["", ""] = [{method: row, rivals[0]: other} for row, other in pairs]
    elif show == "random":
        chosen["", ""] = _alone(method, choose_random(rows, count, seed=seed))
    else:
        chosen["", ""] = _alone(method, (choose_best if show == "best" else choose_worst)(rows, count))
    adjective = show if show != "breakdown" else "random" if of_group == "random" else "extreme"
    sections = [ExampleSection(*said, tuple(examples)) for said, examples in chosen.items()]
    return ExampleSelection(tuple(answers), adjective, explanation, tuple(each for each in sections if each.examples))


def rows_of(summary: Summary) -> list[AnswerRow]:
    """One dict per answer whose expression is known.

    Its keys: "sent_id", "image_id", "phrase", "annotated_xyxy", "boxes_xyxy" (best-scored first), "scores", "iou" (of
    the best box), "image_path", and "groups": axis of `breakdowns.AXES`, or `SUBSET`, -> the kinds it is of; without
    axes where the image's size is not known, and without `SUBSET` where it has no tag.
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
            groups[SUBSET] = expression.tags
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


def _groups(rows: Iterable[AnswerRow], axis: str) -> dict[str, list[AnswerRow]]:
    """Kind of an axis -> the answers that are of it, in the order of kinds."""
    groups: dict[str, list[AnswerRow]] = {}
    for row in rows:
        for kind in row["groups"].get(axis, ()):
            groups.setdefault(kind, []).append(row)
    return {kind: groups[kind] for kind in sorted(groups, key=in_order)}


def _alone(method: str, rows: Iterable[AnswerRow]) -> Iterable[ShownExample]:
    return ({method: row} for row in rows)


def _share_right(rows: Sequence[AnswerRow]) -> str:
    # No line may end before the percent sign.
    return f"{100 * sum(row['iou'] >= CORRECT_IOU for row in rows) / max(1, len(rows)):.1f}\N{NO-BREAK SPACE}%"
