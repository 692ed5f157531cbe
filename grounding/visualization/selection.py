"""Examples for a reader: chosen as wanted, in sections, with the sentences that say how they were chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grounding.evaluation.breakdowns import in_order
from grounding.visualization.example_choice import (
    CORRECT_IOU,
    AnswerRow,
    choose_best,
    choose_disputed,
    choose_random,
    choose_worst,
)

ShownExample = Mapping[str, AnswerRow]  # a phrase's answers: the method's, and the rival's where there is one

CHOSEN = "No two are of the same image. Chosen as such, they do not say how often this happens."


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


@dataclass(frozen=True)
class SelectionRequest:
    """What to choose; `gallery.GalleryConfig` tells what each field means."""

    show: Literal["random", "best", "worst", "disputed", "breakdown"]
    by: str = ""
    of_group: Literal["random", "extremes"] = "random"
    seed: int = 0

    def choose(
        self, answers: Mapping[str, Sequence[AnswerRow]], count: int, *, most_groups: int | None = None
    ) -> ExampleSelection:
        """Up to `count` examples, or so many of each group.

        Args:
            answers: the method's rows, and where `show` is "disputed" the rival's.
            count: the larger one's examples hold the smaller one's.
            most_groups: of a breakdown; the most frequent ones are kept.
        """
        explanation = self._explanation(answers, count)
        if self.show != "breakdown":
            sections = [ExampleSection("", "", self._of_all(answers, count))]
            adjective: str = self.show
        else:
            method, rows = next(iter(answers.items()))
            groups = self._groups(rows)
            frequent = sorted(groups, key=lambda kind: (-len(groups[kind]), in_order(kind)))[:most_groups]
            if len(frequent) < len(groups):
                explanation += f" The {len(frequent)} most frequent of {len(groups)} groups."
            kept = {kind: inside for kind, inside in groups.items() if kind in frequent}
            sections = self._of_groups(method, kept, count)
            adjective = "random" if self.of_group == "random" else "extreme"
        return ExampleSelection(
            tuple(answers), adjective, explanation, tuple(each for each in sections if each.examples)
        )

    def _groups(self, rows: Sequence[AnswerRow]) -> dict[str, list[AnswerRow]]:
        groups: dict[str, list[AnswerRow]] = {}
        for row in rows:
            for kind in row["groups"].get(self.by, ()):
                groups.setdefault(kind, []).append(row)
        return {kind: groups[kind] for kind in sorted(groups, key=in_order)}

    def _of_all(self, answers: Mapping[str, Sequence[AnswerRow]], count: int) -> tuple[ShownExample, ...]:
        method, *rivals = answers
        if self.show == "disputed":
            pairs = choose_disputed(answers[method], answers[rivals[0]], count)
            return tuple({method: row, rivals[0]: other} for row, other in pairs)
        if self.show == "random":
            return _alone(method, choose_random(answers[method], count, seed=self.seed))
        return _alone(method, (choose_best if self.show == "best" else choose_worst)(answers[method], count))

    def _of_groups(self, method: str, groups: Mapping[str, Sequence[AnswerRow]], count: int) -> list[ExampleSection]:
        sections = []
        for kind, inside in groups.items():
            note = f"{len(inside):,} phrase{'s' if len(inside) != 1 else ''}, {_share_right(inside)} right"
            if self.of_group == "random":
                chosen = {kind: choose_random(inside, count, seed=self.seed)}
            else:
                chosen = {f"{kind}: best": choose_best(inside, count), f"{kind}: worst": choose_worst(inside, count)}
            sections += [ExampleSection(title, note, _alone(method, rows)) for title, rows in chosen.items()]
        return sections

    def _explanation(self, answers: Mapping[str, Sequence[AnswerRow]], count: int) -> str:
        method, *rivals = answers
        right = " and ".join(f"{name} answers {_share_right(rows)}" for name, rows in answers.items())
        out_of = f"{len(answers[method]):,} phrases, of which {right} right (IoU of at least {CORRECT_IOU})"
        by_lot = f"drawn at random (seed {self.seed})"
        if self.show == "random":
            return f"{by_lot.capitalize()} from {out_of}: a representative sample."
        if self.show == "best":
            return f"The highest IoUs among {out_of}. {CHOSEN}"
        if self.show == "worst":
            return f"Wrong answers, the lowest IoU first and then the highest score, among {out_of}. {CHOSEN}"
        if self.show == "disputed":
            alone = f"where only {method} and where only {rivals[0]} is right"
            return f"By turns {alone}, the largest gap in IoU first, among {out_of}. {CHOSEN}"
        if self.of_group == "random":
            return (
                f"By {self.by}: up to {count} of each group, {by_lot} from {out_of}. Representative of each group, not "
                "of all phrases: rare groups show as many as frequent ones."
            )
        return (
            f"By {self.by}: up to {count} of each group's highest IoUs and as many of its wrong answers, the lowest "
            f"IoU first, among {out_of}. Within a row of these: {CHOSEN[0].lower()}{CHOSEN[1:]}"
        )


def _alone(method: str, rows: Iterable[AnswerRow]) -> tuple[ShownExample, ...]:
    return tuple({method: row} for row in rows)


def _share_right(rows: Sequence[AnswerRow]) -> str:
    # No line may end before the percent sign.
    return f"{100 * sum(row['iou'] >= CORRECT_IOU for row in rows) / max(1, len(rows)):.1f}\N{NO-BREAK SPACE}%"
