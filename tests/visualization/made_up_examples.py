"""Made-up answers, some with phrases that would break a page that does not escape; and what is seen in a picture."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from PIL import Image

from grounding.visualization.drawing import take_literally

HOSTILE = [
    "<script>document.title='hacked'</script>",
    "it's \"quoted\" & 'single'",
    "</button></li><b>bold",
    "costs $5 $\\frac{",
]
COLOURS = {"demo": "#56B4E9", "zero-shot": "#E69F00"}


def answers(images=12, photograph="nowhere.png"):
    """Rows of two methods, all of one photograph, some phrases hostile."""
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
            })  # fmt: skip
    return rows


def save_photograph(path, size=(120, 100), colour=(128, 128, 128)):
    Image.new("RGB", size, colour).save(path)
    return path


def as_array(figure: Figure) -> np.ndarray:
    """(H, W, 3) uint8 RGB picture of a figure."""
    take_literally(figure)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def near(picture: np.ndarray, colour: str, *, within: float = 40) -> np.ndarray:
    """(H, W) bool: the pixels of a colour "#RRGGBB"."""
    return np.abs(picture.astype(float) - np.array(to_rgb(colour)) * 255).max(axis=2) < within


def extent(mask):
    """(x1, y1, x2, y2) of the True pixels."""
    (rows,), (columns,) = np.nonzero(mask.any(axis=1)), np.nonzero(mask.any(axis=0))
    return np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
