"""Answers of two methods, made up, some with phrases that would break a page that does not escape."""

import numpy as np
from PIL import Image

from grounding.visualization.selection import select_examples

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
    rng = np.random.default_rng(0)
    rows = {name: [] for name in COLOURS}
    for number in map(int, rng.permutation(3 * images)):
        x, y = rng.uniform(0, 60, 2)
        for of_method in rows.values():
            dx, dy = rng.normal(0, 12, 2)
            of_method.append({
                "sent_id": number,
                "image_id": number // 3,
                "image_path": photograph,
                "phrase": HOSTILE[number] if number < len(HOSTILE) else "word " * (number % 5) + f"number {number}",
                "annotated_xyxy": [x, y, x + 40, y + 30],
                "boxes_xyxy": [[x + dx, y + dy, x + dx + 40, y + dy + 30]],
                "scores": [round(float(rng.random()), 1)],  # so that some are equal
                "iou": round(max(0.0, 1 - abs(dx) / 20 - abs(dy) / 15), 1),
                "groups": {
                    "box area": (("small", "medium", "large")[number % 3],),
                    "category": ('cup\'s "<top>"' if number % 4 else "plate",),
                    "subset": ("even", "all") if number % 2 == 0 else ("all",),
                },
            })  # fmt: skip
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
