"""Answers of two methods, made up, some with phrases that would break a page that does not escape."""

import numpy as np

from grounding.visualization.selection import Wanted
from tests.visualization.results_example import example_predictions

HOSTILE = [
    "<script>document.title='hacked'</script>",
    "it's \"quoted\" & 'single'",
    "</button></li><b>bold",
    "costs $5 $\\frac{",
]
WHERE = "made up, test"


def answers(images=12):
    """Rows of two methods, some phrases hostile, with three axes of groups."""
    rows = example_predictions(images=images)
    for of_method in rows.values():
        for row in of_method:
            number = row["sent_id"]
            row["phrase"] = HOSTILE[number] if number < len(HOSTILE) else "word " * (number % 5) + f"number {number}"
            row["groups"] = {
                "box area": (("small", "medium", "large")[number % 3],),
                "category": ('cup\'s "<top>"' if number % 4 else "plate",),
                "subset": ("even", "all") if number % 2 == 0 else ("all",),
            }
    return rows


def wanted(show="random", by="box area", of_group="random", seed=0):
    return Wanted(show, by, of_group, seed)


def ids(section):
    return [example[0]["sent_id"] for example in section.examples]


def grey(_):
    return np.full((100, 120, 3), 128, dtype=np.uint8)
