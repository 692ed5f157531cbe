import io
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch


def show(figure, dpi=80, kind="png"):
    """A figure as an output that does not depend on the notebook's drawing backend; photographs take less as "jpeg"."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, dpi=dpi)
    display(Image(buffer.getvalue(), format=kind))


FROZEN, TRAINED, PLAIN = "#CFE3F3", "#FBDDB5", "#EDEDED"
INSIDE = "3 blocks, 7x7,\nFiLM\n\nupsample, join,\nblock 5x5,\nFiLM\n\nupsample, join\n\nlogits"
BOXES = {  # name: left, bottom, width, height, colour, text
    "image": (0, 34, 9, 7, "white", "image"),
    "letterbox": (12, 34, 11, 7, PLAIN, "letterbox"),
    "stages": (26, 34, 13, 7, FROZEN, "CLIP RN50\nstages 1 to 4"),
    "pool": (44, 26, 15, 7, FROZEN, "value and output\nprojections"),
    "adapter": (63, 26, 11, 7, TRAINED, "region\nadapter"),
    "phrase": (0, 6, 9, 7, "white", "phrase"),
    "text": (12, 6, 11, 7, FROZEN, "CLIP text\ntower"),
    "reader": (44, 1, 15, 7, TRAINED, "phrase reader\n(transformer)"),
    "similarity": (63, 14, 11, 7, PLAIN, "similarity\nmap $s$"),
    "decoder": (83, 1, 15, 40, TRAINED, "heatmap\ndecoder\n\n" + INSIDE),
    "heatmap": (101, 29, 11, 7, "white", "heatmap"),
    "extract": (101, 17, 11, 7, PLAIN, "threshold,\nregions"),
    "boxes": (101, 5, 11, 7, "white", "boxes,\nscores"),
}  # fmt: skip
ARROWS = [  # points from start to end, text and where it stands
    ([(9, 37.5), (12, 37.5)], "", None),
    ([(23, 37.5), (26, 37.5)], "", None),
    ([(39, 37.5), (83, 37.5)], "pyramid: three of the stages", (61, 38.4)),
    ([(41.5, 37.5), (41.5, 29.5), (44, 29.5)], "stage 4", (40.9, 30)),
    ([(59, 29.5), (63, 29.5)], "$e_p$", (61, 30.4)),
    ([(61, 37.5), (68.5, 37.5), (68.5, 33)], "", None),
    ([(74, 29.5), (83, 29.5)], "embeddings", (78.5, 30.4)),
    ([(68.5, 26), (68.5, 21)], "", None),
    ([(74, 17.5), (83, 17.5)], "", None),
    ([(9, 9.5), (12, 9.5)], "", None),
    ([(23, 11.5), (31, 11.5), (31, 17.5), (63, 17.5)], "embedding $t$ of the phrase", (46, 18.4)),
    ([(23, 7.5), (31, 7.5), (31, 4.5), (44, 4.5)], "states of the tokens", (37.3, 5.4)),
    ([(51.5, 17.5), (51.5, 8)], "", None),
    ([(59, 6.5), (83, 6.5)], "queries $q_i$, compared with positions", (71, 7.4)),
    ([(59, 2.5), (83, 2.5)], "summary $u$, for FiLM", (71, 3.4)),
    ([(98, 32.5), (101, 32.5)], "$\\sigma$", (99.5, 33.4)),
    ([(106.5, 29), (106.5, 24)], "", None),
    ([(106.5, 17), (106.5, 12)], "", None),
]
figure = Figure(figsize=(12, 4.6))
axis = figure.add_axes((0.005, 0.01, 0.99, 0.98))
axis.set(xlim=(-1, 113), ylim=(-1, 43))
axis.axis("off")
for points, text, place in ARROWS:
    for start, end in pairwise(points):
        last = end == points[-1]
        axis.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>" if last else "-", mutation_scale=11,
                                       shrinkA=0, shrinkB=0, color="#444444", linewidth=1.2))  # fmt: skip
    if text:
        axis.text(
            *place, text, ha="right" if text == "stage 4" else "center", va="bottom", fontsize=8.5, color="#333333"
        )
for left, bottom, width, height, colour, text in BOXES.values():
    axis.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle="round,pad=0,rounding_size=1",
                                  facecolor=colour, edgecolor="#555555", linewidth=1.1))  # fmt: skip
    axis.text(left + width / 2, bottom + height / 2, text, ha="center", va="center", fontsize=9.5)
show(figure, dpi=90)
