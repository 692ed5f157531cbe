"""Examples for a reader: chosen as wanted, in sections, with the sentences that say how they were chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from grounding.evaluation.breakdowns import in_order
from grounding.visualization.example_choice import (
    CORRECT_IOU,
    Row,
    choose_best,
    choose_disputed,
    choose_random,
    choose_worst,
)

Example = tuple[Row, ...]  # a phrase's answers: the method's, and the rival's where there is one

CHOSEN = "Chosen as such, they do not say how often this happens."


@dataclass(frozen=True)
class Section:
    """Examples under one heading, and what is said of the group they are from; both "" where there is no group."""

    title: str
    note: str
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Examples:
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
    sections: tuple[Section, ...]

    def title(self, where: str, count: int) -> str:
        """A heading: whose answers they are, on which data and split, and how many of them are shown."""
        return f"{' and '.join(self.names)} on {where}: {count:,} {self.adjective} example{'s' if count != 1 else ''}"


@dataclass(frozen=True)
class Wanted:
    """What to choose; `gallery.GalleryConfig` tells what each field means."""

    show: Literal["random", "best", "worst", "disputed", "breakdown"]
    by: str
    of_group: Literal["random", "extremes"]
    seed: int

    def choose(self, answers: Mapping[str, Sequence[Row]], count: int, *, most_groups: int | None = None) -> Examples:
        """Up to `count` examples, or so many of each group.

        Args:
            answers: the method's rows, and where `show` is "disputed" the rival's.
            count: the larger one's examples hold the smaller one's.
            most_groups: of a breakdown; the most frequent ones are kept.
        """
        rows, *others = answers.values()
        groups = self._groups(rows) if self.show == "breakdown" else {}
        frequent = sorted(groups, key=lambda kind: (-len(groups[kind]), in_order(kind)))[:most_groups]
        kept = {kind: inside for kind, inside in groups.items() if kind in frequent}
        sections = self._of_groups(kept, count) if self.show == "breakdown" else [self._of_all(rows, others, count)]
        sections = [section for section in sections if section.examples]
        explanation = self._explanation(answers, count)
        if len(kept) < len(groups):
            explanation += f" The {len(kept)} most frequent of {len(groups)} groups."
        return Examples(tuple(answers), self._adjective, explanation, tuple(sections))

    def _groups(self, rows: Sequence[Row]) -> dict[str, list[Row]]:
        groups: dict[str, list[Row]] = {}
        for row in rows:
            for kind in row["groups"].get(self.by, ()):
                groups.setdefault(kind, []).append(row)
        return {kind: groups[kind] for kind in sorted(groups, key=in_order)}

    def _of_all(self, rows: Sequence[Row], others: Sequence[Sequence[Row]], count: int) -> Section:
        if self.show == "disputed":
            return Section("", "", tuple(choose_disputed(rows, others[0], count)))
        if self.show == "random":
            return Section("", "", _alone(choose_random(rows, count, seed=self.seed)))
        return Section("", "", _alone((choose_best if self.show == "best" else choose_worst)(rows, count)))

    def _of_groups(self, groups: Mapping[str, Sequence[Row]], count: int) -> list[Section]:
        sections = []
        for kind, inside in groups.items():
            note = f"{len(inside):,} phrase{'s' if len(inside) != 1 else ''}, {_share_right(inside)} right"
            if self.of_group == "random":
                sections.append(Section(kind, note, _alone(choose_random(inside, count, seed=self.seed))))
            else:
                sections.append(Section(f"{kind}: best", note, _alone(choose_best(inside, count))))
                sections.append(Section(f"{kind}: worst", note, _alone(choose_worst(inside, count))))
        return sections

    @property
    def _adjective(self) -> str:
        if self.show != "breakdown":
            return self.show
        return "random" if self.of_group == "random" else "extreme"

    def _explanation(self, answers: Mapping[str, Sequence[Row]], count: int) -> str:
        method, *rivals = answers
        right = " and ".join(f"{name} answers {_share_right(rows)}" for name, rows in answers.items())
        out_of = f"{len(answers[method]):,} phrases, of which {right} right (IoU of at least {CORRECT_IOU})"
        by_lot = f"drawn at random (seed {self.seed})"
        if self.show == "random":
            return f"{by_lot.capitalize()} from {out_of}: a representative sample."
        if self.show == "best":
            return f"The highest IoUs among {out_of}; no two are of the same image. {CHOSEN}"
        if self.show == "worst":
            return (
                f"Wrong answers, the lowest IoU first and then the highest score, among {out_of}; no two are of the "
                f"same image. {CHOSEN}"
            )
        if self.show == "disputed":
            return (
                f"By turns where only {method} and where only {rivals[0]} is right, the largest gap in IoU first, "
                f"among {out_of}; no two are of the same image. {CHOSEN}"
            )
        if self.of_group == "random":
            return (
                f"By {self.by}: up to {count} of each group, {by_lot} from {out_of}. Representative of each group, not "
                "of all phrases: rare groups show as many as frequent ones."
            )
        return (
            f"By {self.by}: up to {count} of each group's highest IoUs and as many of its wrong answers, the lowest "
            f"IoU first, among {out_of}; no two of a row of these are of the same image. {CHOSEN}"
        )


def _alone(rows: Sequence[Row]) -> tuple[Example, ...]:
    return tuple((row,) for row in rows)


def _share_right(rows: Sequence[Row]) -> str:
    # No line may end before the percent sign.
    return f"{100 * sum(row['iou'] >= CORRECT_IOU for row in rows) / len(rows):.1f}\N{NO-BREAK SPACE}%"
