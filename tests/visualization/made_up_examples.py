"""Answers of two methods, made up, some with phrases that would break a page that does not escape."""

import numpy as np
from PIL import Image

from grounding.visualization.selection import select_examples
from tests.visualization.results_example import example_predictions

HOSTILE = [
    "<script>document.title='hacked'</script>",
    "it's \"quoted\" & 'single'",
    "</button></li><b>bold",
    "costs $5 $\\frac{",
]
WHERE = "made up, test"
COLOURS = {"demo": "#56B4E9", "zero-shot": "#E69F00"}


def answers(images=12, photograph="nowhere.png"):
    """Rows of two methods, all of one photograph, some phrases hostile, with three axes of groups."""
    rows = example_predictions(images=images)
    for row in (row for of_method in rows.values() for row in of_method):
        number = row["sent_id"]
        row["image_path"] = photograph
        row["phrase"] = HOSTILE[number] if number < len(HOSTILE) else "word " * (number % 5) + f"number {number}"
        row["groups"] = {
            "box area": (("small", "medium", "large")[number % 3],),
            "category": ('cup\'s "<top>"' if number % 4 else "plate",),
            "subset": ("even", "all") if number % 2 == 0 else ("all",),
        }
    return rows


def chosen(rows, count, show="random", **options):
    """Of one method, or where `show` is "disputed" of both."""
    given = rows if show == "disputed" else {"demo": rows["demo"]}
    return select_examples(given, show, count, **options)


def ids(section):
    return [example["demo"]["sent_id"] for example in section.examples]


def save_photograph(path, size=(120, 100), colour=(128, 128, 128)):
    Image.new("RGB", size, colour).save(path)
    return path


def near(picture, colour, tolerance=40):
    """(H, W) bool: the pixels of a colour (r, g, b) of 0 to 255."""
    return np.abs(picture.astype(int) - np.array(colour)).max(axis=2) < tolerance


def extent(mask):
    """(x1, y1, x2, y2) of the True pixels."""
    (rows,), (columns,) = np.nonzero(mask.any(axis=1)), np.nonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
