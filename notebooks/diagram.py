"""Draws the report's diagram of the method: `python notebooks/diagram.py` writes parts/method.png."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

OUTPUT = Path(__file__).resolve().parent / "parts" / "method.png"
FROZEN, TRAINED, PLAIN = "#CFE3F3", "#FBDDB5", "#EDEDED"
INSIDE = "3 blocks, 7x7,\nFiLM\n\nupsample, join,\nblock 5x5,\nFiLM\n\nupsample, join\n\nlogits"
BOXES = {  # name: left, bottom, width, height, colour, text
    "image": (0, 34, 9, 7, "white", "image"),
    "letterbox": (12, 34, 11, 7, PLAIN, "letterbox"),
    "stages": (26, 34, 13, 7, FROZEN, "CLIP RN50\nstages 1 to 4"),
    "updates": (26, 23.5, 11, 7, TRAINED, "low-rank\nupdates"),
    "pool": (44, 26, 15, 7, FROZEN, "value and output\nprojections"),
    "adapter": (63, 26, 11, 7, TRAINED, "region\nadapter"),
    "phrase": (0, 6, 9, 7, "white", "phrase"),
    "text": (12, 6, 11, 7, FROZEN, "CLIP text\ntower"),
    "reader": (44, 1, 15, 7, TRAINED, "phrase reader\n(transformer)"),
    "similarity": (63, 14, 11, 7, PLAIN, "similarity\nmap $s$"),
    "decoder": (83, 1, 15, 40, TRAINED, "heatmap\ndecoder\n\n" + INSIDE),
    "heatmap": (101, 32, 11, 7, "white", "heatmap"),
    "extract": (101, 22, 11, 7, PLAIN, "threshold,\nregions"),
    "boxes": (101, 12, 11, 7, "white", "boxes,\nscores"),
    "presence": (101, 2, 11, 7, "white", "presence"),
}
ARROWS: list[tuple[list[tuple[float, float]], str, tuple[float, float]]] = [  # points, text and where it stands
    ([(9, 37.5), (12, 37.5)], "", (0, 0)),
    ([(23, 37.5), (26, 37.5)], "", (0, 0)),
    ([(31.5, 30.5), (31.5, 34)], "", (0, 0)),
    ([(39, 37.5), (83, 37.5)], "pyramid: three of the stages", (61, 38.4)),
    ([(41.5, 37.5), (41.5, 29.5), (44, 29.5)], "", (0, 0)),
    ([(59, 29.5), (63, 29.5)], "$f_i$", (61, 30.4)),
    ([(61, 37.5), (68.5, 37.5), (68.5, 33)], "", (0, 0)),
    ([(74, 29.5), (83, 29.5)], "$r_i$", (78.5, 30.4)),
    ([(68.5, 26), (68.5, 21)], "", (0, 0)),
    ([(74, 17.5), (83, 17.5)], "", (0, 0)),
    ([(9, 9.5), (12, 9.5)], "", (0, 0)),
    ([(23, 11.5), (31, 11.5), (31, 17.5), (63, 17.5)], "embedding $t$ of the phrase", (46, 18.4)),
    ([(23, 7.5), (31, 7.5), (31, 4.5), (44, 4.5)], "states of the tokens", (37.3, 5.4)),
    ([(51.5, 17.5), (51.5, 8)], "", (0, 0)),
    ([(59, 6.5), (83, 6.5)], "queries $q_k$, compared with positions", (71, 7.4)),
    ([(59, 2.5), (83, 2.5)], "summary $u$, for FiLM", (71, 3.4)),
    ([(98, 35.5), (101, 35.5)], "$\\sigma$", (99.5, 36.4)),
    ([(106.5, 32), (106.5, 29)], "", (0, 0)),
    ([(106.5, 22), (106.5, 19)], "", (0, 0)),
    ([(98, 5.5), (101, 5.5)], "", (0, 0)),
]


def draw() -> Figure:
    """Blue is frozen, orange is trained, grey has no parameters."""
    figure = Figure(figsize=(12, 4.6))
    axis = figure.add_axes((0.005, 0.01, 0.99, 0.98))
    axis.set(xlim=(-1, 113), ylim=(-1, 43))
    axis.axis("off")
    for points, text, place in ARROWS:
        for start, end in pairwise(points):
            style = "-|>" if end == points[-1] else "-"
            axis.add_patch(FancyArrowPatch(start, end, arrowstyle=style, mutation_scale=11, shrinkA=0, shrinkB=0,
                                           color="#444444", linewidth=1.2))  # fmt: skip
        axis.text(*place, text, ha="center", va="bottom", fontsize=9, color="#333333")
    for left, bottom, width, height, colour, text in BOXES.values():
        axis.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1",
                                      facecolor=colour, edgecolor="#555555", linewidth=1.1))  # fmt: skip
        axis.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=9.5)
    return figure


if __name__ == "__main__":
    draw().savefig(OUTPUT, dpi=90)
