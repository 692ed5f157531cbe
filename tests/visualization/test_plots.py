from collections import Counter

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from grounding.visualization.plots import (
    PALETTE,
    accuracy_over_iou,
    breakdowns,
    confusion,
    confusion_matrix,
    draw_plots,
    method_colours,
    reliability,
)
from tests.visualization.results_example import METHODS, example_results

RESULTS = example_results()
MANY = tuple(f"thing {index}" for index in range(40))


def lines_of(axis):
    return {line.get_label(): line for line in axis.get_lines()}


def test_every_plot_is_a_picture_of_150_dpi(tmp_path):
    paths = draw_plots(RESULTS, tmp_path / "plots")
    assert set(paths) == {"accuracy_over_iou", "breakdowns", "confusion", "reliability"}
    for path in paths.values():
        with Image.open(path) as picture:
            assert picture.format == "PNG" and round(picture.info["dpi"][0]) == 150
            border = np.asarray(picture.convert("L"))
            assert (border[:, [0, -1]] == 255).all() and (border[[0, -1]] == 255).all(), f"{path.name} is clipped"


@pytest.mark.filterwarnings("error::UserWarning")
def test_names_of_strangers_are_drawn_as_they_are(tmp_path):
    """Matplotlib would take what is between dollars for a formula, and fail, or warn with what a terminal obeys."""
    results = example_results(categories=("a $\\frac{$", "b\x1b[31m", "c"))
    results["methods"]["my $\\frac{$ run"] = results["methods"].pop("demo")
    assert len(draw_plots(results, tmp_path)) == 4


def test_a_method_has_its_own_colour_in_every_plot():
    colours = method_colours(RESULTS)
    alone, after_a_run = (method_colours({"methods": names})["gradcam"] for names in (["gradcam"], ["run", "gradcam"]))
    assert alone == after_a_run  # in another comparison too
    assert list(colours) == list(METHODS) and len(set(colours.values())) == 5 and set(colours.values()) <= set(PALETTE)
    lines = lines_of(accuracy_over_iou(RESULTS).axes[0])
    assert all(lines[name].get_color() == colours[name] for name in METHODS)
    of_bounds = {
        (line.get_color(), str(line._unscaled_dash_pattern)) for name, line in lines.items() if "(bound)" in name
    }
    assert len(of_bounds) == len(RESULTS["bounds"]) > 3, "their lines are told apart"
    bars = breakdowns(RESULTS).axes[0].containers
    assert {bar.get_label(): to_hex(bar[0].get_facecolor()).upper() for bar in bars} == colours


def test_curves_hold_the_measured_points():
    line = lines_of(accuracy_over_iou(RESULTS).axes[0])["gradcam"]
    curve = RESULTS["methods"]["gradcam"]["accuracy_over_iou"]
    np.testing.assert_array_equal(line.get_xydata(), np.stack([curve["threshold"], curve["accuracy"]], axis=1))
    upper, lower = reliability(RESULTS).axes
    bins = RESULTS["methods"]["demo"]["reliability"]
    ece = RESULTS["methods"]["demo"]["metrics"]["ece"]
    np.testing.assert_array_equal(
        lines_of(upper)[f"demo, ECE {ece:.3f}"].get_xydata(), [(part["score"], part["accuracy"]) for part in bins]
    )
    values, edges = lower.patches[0].get_data()[:2]
    assert values.sum() == pytest.approx(1) and len(edges) == 11


def test_an_empty_bin_of_scores_is_drawn_as_empty():
    results = example_results()
    results["methods"] = {"demo": results["methods"]["demo"]}
    results["methods"]["demo"]["reliability"] = [
        {"low": 0.1, "high": 0.2, "n": 3, "score": 0.15, "accuracy": 0.3},
        {"low": 0.7, "high": 0.8, "n": 1, "score": 0.75, "accuracy": 1.0},
    ]
    values = reliability(results).axes[1].patches[0].get_data()[0]
    np.testing.assert_allclose(values, [0, 0.75, 0, 0, 0, 0, 0, 0.25, 0, 0])


def test_bars_and_the_sizes_below_them():
    axis = breakdowns(RESULTS).axes[1]
    parts = RESULTS["methods"]["reclip"]["breakdowns"]["box area"]
    assert axis.get_title(loc="left") == "box area"
    assert [label.get_text() for label in axis.get_xticklabels()] == [f"{k}\nn = {v['n']}" for k, v in parts.items()]
    assert [bar.get_height() for bar in axis.containers[4]] == [part["metrics"]["acc@0.5"] for part in parts.values()]


def test_the_most_frequent_categories_are_kept_and_the_rest_is_told():
    results = example_results(n=2000, categories=MANY)
    axis = next(a for a in breakdowns(results).axes if a.get_title(loc="left").startswith("category"))
    assert axis.get_title(loc="left") == "category (the 15 most frequent of 40)"
    sizes = sorted((part["n"] for part in results["methods"]["demo"]["breakdowns"]["category"].values()), reverse=True)
    assert [int(label.get_text().split("n = ")[1]) for label in axis.get_xticklabels()] == sizes[:15]


@pytest.mark.parametrize("most", [3, 40])
def test_confusion_counts_by_brute_force(most):
    rng = np.random.default_rng(1)
    names = [f"c{index}" for index in range(8)]
    pairs = [(names[a], [*names, "unseen", "background"][b]) for a, b in zip(rng.integers(8, size=500),
             rng.integers(10, size=500), strict=True)]  # fmt: skip
    table: dict[str, dict[str, int]] = {}
    for (wanted, found), count in Counter(pairs).items():
        table.setdefault(wanted, {})[found] = count
    counts = confusion_matrix(table, most)
    rows, columns = list(counts.index), list(counts.columns)
    frequent = sorted(names, key=lambda name: (-sum(w == name for w, _ in pairs), name))
    expected = [*frequent[:3], "other"] if most == 3 else frequent
    assert rows == expected and columns == [*expected, *([] if most == 3 else ["unseen"]), "background"]
    kept = {*columns} - {"other"}
    shown = Counter((w if w in kept else "other", f if f in kept else "other") for w, f in pairs)
    assert all(counts.loc[wanted, found] == shown[wanted, found] for wanted in rows for found in columns)


def test_rows_of_the_drawn_matrix_sum_to_one():
    axis = confusion(RESULTS).axes[0]
    shares = np.asarray(axis.images[0].get_array())
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    many = confusion(example_results(n=2000, categories=MANY)).axes[0]
    assert [label.get_text() for label in many.get_xticklabels()][-2:] == ["other", "background"]
