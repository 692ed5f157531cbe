from IPython.display import Markdown, display
from matplotlib import pyplot as plt


def table(header, rows):
    """Shows a table."""
    lines = [header, ["---"] * len(header), *rows]
    display(Markdown("\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)))


COLOURS = ("#e6550d", "#3182bd", "#31a354", "#c51b8a", "#fec44f", "#17becf")


def draw(axis, image, boxes, colours, title, heat=None):
    """An image with boxes, and yellow where a heatmap is hot."""
    share = np.zeros(image.shape[:2]) if heat is None else 0.6 * heat / heat.max()
    axis.imshow((image * (1 - share[..., None]) + np.array([255, 230, 0]) * share[..., None]).astype(np.uint8))
    for (x1, y1, x2, y2), colour in zip(boxes, colours, strict=False):
        axis.add_patch(plt.Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, linewidth=2.2, edgecolor=colour))
    axis.set_title(title, fontsize=9, loc="left")
    axis.axis("off")
