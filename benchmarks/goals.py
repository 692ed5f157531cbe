"""What the learner is to be worth, as differences to other methods on the same phrases: `python -m benchmarks.goals`.

Reads the predictions of the ladder's comparison and of the map with rules, and writes docs/claims.json and a table of
docs/results.md. A goal that is not met stays in the table, as it is.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tabulate import tabulate

from benchmarks.claims import CLAIMS, Claim, claims_under, record
from benchmarks.measuring import run
from benchmarks.pages import write_between
from benchmarks.results import CALIBRATION, NAMES, OURS, RULES, SETS_PREFIX
from grounding.data.refcocog import RefCOCOg
from grounding.evaluation.metrics import hits, ious_with, point_inside
from grounding.evaluation.predictions import Prediction, read_predictions
from grounding.evaluation.significance import paired_differences
from grounding.runtime.errors import InputError
from grounding.types import Expression

BEGIN, END = "<!-- Written by python -m benchmarks.goals -->", "<!-- End of benchmarks.goals -->"
COMMAND, PREFIX = "python -m benchmarks.goals", "goals/"
MEASURES = {"acc@0.5": "Acc@0.5", "pointing": "pointing"}


@dataclass(frozen=True)
class Goal:
    """One method is to be better than another by so much.

    Attributes:
        method, other: names of predictions.
        measure: one of `MEASURES`.
        least: of the difference; 0 asks for a whole interval above it.
        tag: of the expressions that it is about; all where it is empty.
    """

    method: str
    other: str
    measure: str
    least: float
    tag: str = ""

    @property
    def name(self) -> str:
        """In docs/claims.json."""
        of = f", {self.tag}" if self.tag else ""
        return f"{PREFIX}{self.method} minus {self.other} {self.measure}{of}"


NOVEL = f"{OURS} acc@0.5, novel minus matched known"
NOVEL_GOAL = -0.05
RESAMPLES = 2000
MEASURES_OF_OURS = {
    PREFIX + NOVEL: "Acc@0.5 on novel combinations, minus known ones of the same shapes, sizes and kinds of phrases",
    f"{SETS_PREFIX}{OURS} set_accuracy": "sets: set accuracy",
    f"{SETS_PREFIX}{OURS} n_acc": "sets: N-acc",
    f"{SETS_PREFIX}{OURS} t_acc": "sets: T-acc",
    f"{SETS_PREFIX}{OURS} presence_auroc": "sets: AUROC of presence",
    f"{CALIBRATION}{OURS}": "expected calibration error of the best box's score",
    f"forgetting/{OURS}": "catalogue retrieval, of that before adaptation",
    "forgetting/refshapes-weak": "the same, of the learner without boxes",
}
TAGS = ("attribute", "relation", "comparison", "occluded", "small", "novel")
GOALS = (
    *(Goal("refshapes-weak", other, measure, 0.1) for other in ("zero-shot", RULES) for measure in MEASURES),
    *(Goal(f"refshapes-{name}", "yolo-clip", "acc@0.5", 0.0) for name in ("weak", "weak+yolo", "pseudo")),
    Goal("refshapes", "reclip", "acc@0.5", 0.15),
    *(Goal("refshapes", "reclip", "acc@0.5", 0.0, tag) for tag in TAGS),
)


def main(
    predictions: Path = Path("runs/refshapes/test/predictions"),
    rules: Path = Path(f"runs/{RULES}/predictions/zero-shot.jsonl"),
    data: Path = Path("data/refshapes"),
    output: Path = Path("docs/results.md"),
    claims: Path = CLAIMS,
) -> None:
    """Measure every goal and write the table.

    Args:
        predictions: folder of the ladder's comparison.
        rules: predictions of the map with rules and GrabCut.
        data: the data set, for its expressions' tags.
        output: Markdown file with the two marks.
        claims: file that the results go into.

    Raises:
        InputError: predictions are missing, or are not of the same expressions.
    """
    dataset = RefCOCOg(data, "test")
    tags = {each.sent_id: each.tags for each in dataset.expressions}
    names = {name for goal in GOALS for name in (goal.method, goal.other)}
    paths = {name: rules if name == RULES else predictions / f"{name}.jsonl" for name in names}
    for path in paths.values():
        if not path.is_file():
            raise InputError(f"there is no {path}: run what benchmarks.results asks for")
    answers = {name: list(read_predictions(path)) for name, path in paths.items()}
    expressions = {each.sent_id: each for each in dataset.expressions}
    found = {goal.name: measured(goal, answers, tags) for goal in GOALS}
    record({**found, PREFIX + NOVEL: novel_beside_known(answers[OURS], expressions)}, claims)
    of_ours = f"{table(claims_under(PREFIX, claims))}\n\n{measures_table(claims_under('', claims))}"
    write_between(output, BEGIN, END, of_ours)


def measured(goal: Goal, answers: dict[str, list[Prediction]], tags: dict[int, tuple[str, ...]]) -> Claim:
    """The difference with its 95 % interval over images.

    Raises:
        InputError: the two methods did not answer the same expressions, or none of them has the tag.
    """
    ours, theirs = answers[goal.method], answers[goal.other]
    if [each.sent_id for each in ours] != [each.sent_id for each in theirs]:
        raise InputError(f"{goal.method} and {goal.other} answered other expressions: compare them on one split")
    chosen = [i for i, each in enumerate(ours) if not goal.tag or goal.tag in tags.get(each.sent_id, ())]
    if not chosen:
        raise InputError(
            f"no expression that was answered has the tag {goal.tag!r}: give the data set of the comparison"
        )
    mine, other = (np.array([_value(goal.measure, side[i]) for i in chosen]) for side in (ours, theirs))
    [found] = paired_differences(mine[None], other[None], np.array([ours[i].image_id for i in chosen]))
    return Claim(found.difference, COMMAND, found.interval, len(chosen), goal=(goal.least, None),
                 surely=goal.least == 0)  # fmt: skip


def novel_beside_known(answers: list[Prediction], expressions: Mapping[int, Expression]) -> Claim:
    """Acc@0.5 on novel combinations minus that on known ones, of the same shapes and with the same other tags."""
    asked = [expressions[each.sent_id] for each in answers]
    difference, interval, n = matched_difference(
        np.array([_value("acc@0.5", each) for each in answers]),
        np.array(["novel" in each.tags for each in asked]),
        [(each.category, *sorted(set(each.tags) - {"novel"})) for each in asked],
        np.array([each.image_id for each in answers]),
    )
    return Claim(difference, COMMAND, interval, n, goal=(NOVEL_GOAL, None))


def matched_difference(
    values: np.ndarray, in_group: np.ndarray, strata: Sequence[Hashable], image_ids: np.ndarray, *, seed: int = 0
) -> tuple[float, tuple[float, float], int]:
    """How far the mean of a group is above that of the others, post-stratified.

    Novel combinations come in other scenes than known ones, so their plain mean would also say what kinds of phrases
    and objects are common there: here each stratum of the others counts as often as it occurs in the group. Strata that
    only one of the two has are left out.

    Args:
        values: (P,) of P expressions.
        in_group: (P,) bool.
        strata: P keys.
        image_ids: (P,) whose images are drawn anew for the interval.
        seed: of the draws.

    Returns:
        The difference, its 95 % bootstrap interval over images, and how many expressions of the group it is of.
    """
    keys = {key: number for number, key in enumerate(dict.fromkeys(strata))}
    stratum = np.array([keys[key] for key in strata])
    images, row = np.unique(image_ids, return_inverse=True)
    shape = (2, len(images), len(keys))  # others or group
    cell = np.ravel_multi_index((in_group.astype(int), row, stratum), shape)
    sums = np.stack(  # (2, 2, I, K): values, and counts
        [np.bincount(cell, weights, minlength=np.prod(shape)).reshape(shape) for weights in (values, None)], axis=1
    )
    drawn = np.random.default_rng(seed).multinomial(len(images), np.full(len(images), 1 / len(images)), RESAMPLES)
    resampled = [_difference(*of_groups) for of_groups in np.einsum("ri,gvik->rgvk", drawn, sums)]
    low, high = np.quantile(resampled, (0.025, 0.975))
    totals = sums.sum(axis=2)
    return _difference(*totals), (float(low), float(high)), int(totals[1, 1][totals[0, 1] > 0].sum())


def _difference(others: np.ndarray, group: np.ndarray) -> float:
    """Of (2, K) sums of values and counts of K strata."""
    both = (others[1] > 0) & (group[1] > 0)
    expected = group[1, both] * others[0, both] / others[1, both]
    return float((group[0, both].sum() - expected.sum()) / group[1, both].sum())


def _value(measure: str, prediction: Prediction) -> float:
    annotated = np.array(prediction.annotated_xyxy)
    if measure == "pointing":
        return float(prediction.point_xy is not None and point_inside(prediction.point_xy, annotated))
    return float(hits(ious_with(np.array(prediction.boxes_xyxy[:1]), annotated), 0.5)[0])


def table(claims: dict[str, dict[str, Any]]) -> str:
    """The claims that are `GOALS`, in their order, as Markdown."""
    rows = []
    for goal in GOALS:
        claim = claims[goal.name.removeprefix(PREFIX)]
        low, high = claim["interval"]
        what = f"{NAMES[goal.method]}, minus {NAMES[goal.other]}"
        measure = MEASURES[goal.measure] + (f", {goal.tag}" if goal.tag else "")
        asked = f">= {goal.least:+.2f}" if goal.least else "interval > 0"
        rows.append([what, measure, f"{claim['value']:+.3f} [{low:+.3f}, {high:+.3f}]", asked,
                     "yes" if claim["met"] else "no", f"{claim['n']:,}"])  # fmt: skip
    return tabulate(rows, ["difference", "measure", "value [95 %]", "goal", "met", "n"], "github")


def measures_table(claims: dict[str, dict[str, Any]]) -> str:
    """What is asked of the decoder that comes with the package by itself, as Markdown; by `benchmarks.results`."""
    rows = []
    for name, called in MEASURES_OF_OURS.items():
        claim = claims[name]
        least, most = claim["goal"]
        interval = f" [{claim['interval'][0]:.3f}, {claim['interval'][1]:.3f}]" if claim["interval"] else ""
        asked = f">= {least:.2f}" if least is not None else f"<= {most:.2f}"
        rows.append(
            [called, f"{claim['value']:.3f}{interval}", asked, "yes" if claim["met"] else "no", f"{claim['n']:,}"]
        )
    return tabulate(rows, ["ours, trained with boxes", "value [95 %]", "goal", "met", "n"], "github")


if __name__ == "__main__":
    run(main)
