"""The numbers of a comparison as tables, made out of the dict that results.json holds.

A column or a row of which nothing was measured is left out. `formats.render` prints a table; its printed cells are
rounded, those of the CSV are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from grounding.visualization.table_formats import Cell, Table, render

ABSENT = "-"
METHODS, BOUNDS = "methods", "bounds, not methods"
QUERIES = {
    "expression": "one query per expression",
    "ref": "one query per object, its expressions pooled",
}


@dataclass(frozen=True)
class Column:
    """A column: its printed heading, its names in the CSV, and the cell it takes from a method's record."""

    heading: str
    names: tuple[str, ...]
    cell: Callable[[Mapping[str, Any]], Cell]


def comparison_table(results: Mapping[str, Any], fmt: str = "text") -> str:
    """The main table of a comparison (`main_table`) in one of `FORMATS`.

    Raises:
        InputError: there is no such format.
    """
    return render(main_table(results), fmt)


def write_tables(results: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write tables.md, tables.tex and one CSV per table into `folder`, and return their paths.

    tables.tex is to be \\input into the body of a LaTeX document that uses booktabs and graphicx.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tables = all_tables(results)
    texts = {
        "tables.md": "\n".join(render(table, "markdown") for table in tables),
        "tables.tex": "% Needs \\usepackage{booktabs,graphicx}.\n"
        + "\n".join(render(table, "latex") for table in tables),
        **{f"{table.name}.csv": render(table, "csv") for table in tables},
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="")
    return [folder / name for name in texts]


def all_tables(results: Mapping[str, Any]) -> list[Table]:
    """Every table that these results have something for, the main one first."""
    makers = (main_table, difference_table, localisation_table, semantic_table, subsets_table, breakdown_table)
    return [table for table in (make(results) for make in makers) if table.sections]


def main_table(results: Mapping[str, Any]) -> Table:
    """Methods and bounds: speed, localisation, and how often the region and the category were the right ones."""
    columns = [
        Column("n", ("n",), lambda record: _number(record["n"], 0)),
        Column("s/image", ("seconds per image",), lambda record: _seconds(record, "per_image", 3)),
        Column("ms/phrase", ("seconds per phrase",), lambda record: _seconds(record, "per_phrase", 1, unit=1000)),
        _metric("Acc@0.25", "acc@0.25"),
        _with_interval("Acc@0.5", "acc@0.5", results),
        _metric("Acc@0.75", "acc@0.75"),
        _metric("mIoU", "miou"),
        _metric("GIoU", "giou"),
        _metric("Pointing", "pointing"),
        _metric("Mass in", "mass_inside"),
        _metric("R@5", "recall@5"),
        _metric("Region acc", "region_accuracy"),
        _metric("Cat. acc", "category_accuracy"),
        _metric("No box", "no_proposal"),
    ]
    return _table("comparison", "Comparison of the methods", results, columns)


def difference_table(results: Mapping[str, Any]) -> Table:
    """By how much the first method is better than each other one."""
    columns = []
    for heading, metric in (("Acc@0.5", "acc@0.5"), ("mIoU", "miou"), ("Pointing", "pointing")):
        names = (f"{metric} difference", f"{metric} low", f"{metric} high")
        columns.append(Column(f"{heading} [95 %]", names, partial(_difference, metric=metric)))
        columns.append(Column("p", (f"{metric} p",), partial(_p_value, metric=metric)))
    first = next(iter(results["methods"]))
    note = "p: two-sided permutation test over images, not corrected for the number of comparisons."
    return _table("differences", f"{first} minus each other method", results, columns, note)


def localisation_table(results: Mapping[str, Any]) -> Table:
    """The localisation measures that the main table has no room for."""
    metrics = {"Acc@0.3": "acc@0.3", "Acc@0.7": "acc@0.7", "Acc@0.9": "acc@0.9", "Acc@0.5:0.95": "acc@0.5:0.95",
               "R@1": "recall@1", "R@10": "recall@10", "ECE": "ece"}  # fmt: skip
    columns = [_metric(heading, metric) for heading, metric in metrics.items()]
    return _table("localisation", "Further measures of localisation", results, columns)


def semantic_table(results: Mapping[str, Any]) -> Table:
    """How alike phrase, found region and annotated region are in CLIP's joint space."""
    metrics = {"Text cos": "text_cosine", "Text Eucl.": "text_euclidean",
               "Annotated text cos": "annotated_text_cosine", "Annotated text Eucl.": "annotated_text_euclidean",
               "Crop cos": "crop_cosine", "Crop Eucl.": "crop_euclidean"}  # fmt: skip
    columns = [_metric(heading, metric) for heading, metric in metrics.items()]
    note = (
        "Between CLIP's embeddings; text: the phrase and the crop of the best box; annotated text, for reference: the "
        "phrase and the crop of the annotated box; crop: the crops of the best and of the annotated box."
    )
    return _table("semantic_similarity", "Semantic similarity", results, columns, note)


def subsets_table(results: Mapping[str, Any]) -> Table:
    """Acc@0.5 on the data set's named subsets."""
    sizes: dict[str, int] = {}
    for record in _records(results).values():
        for tag, subset in record.get("subsets", {}).items():
            sizes.setdefault(tag, subset["n"])
    columns = [
        Column(f"{tag} (n = {size})", (f"{tag} n", f"{tag} acc@0.5"), partial(_subset, tag=tag))
        for tag, size in sizes.items()
    ]
    return _table("subsets", "Acc@0.5 on subsets", results, columns)


def breakdown_table(results: Mapping[str, Any]) -> Table:
    """Acc@0.5 of the methods by phrase length, box area, category and what else was measured; n of the first one."""
    methods = results["methods"]
    first, *_ = methods.values()
    sections = {}
    for axis, groups in first.get("breakdowns", {}).items():
        sections[axis] = [
            [_name(group), _number(part["n"], 0)]
            + [
                _number(record.get("breakdowns", {}).get(axis, {}).get(group, {}).get("metrics", {}).get("acc@0.5"))
                for record in methods.values()
            ]
            for group, part in groups.items()
        ]
    headings = ("group", "n", *methods)
    return Table("breakdowns", "Acc@0.5 by kind of phrase and object", caption(results), headings, headings, sections)


def caption(results: Mapping[str, Any], note: str = "") -> str:
    """Under which conditions the numbers hold, in one line: data, split, n, query, IoU, intervals, weights."""
    sizes = sorted({record["n"] for record in _records(results).values()})
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} (see each row)"
    split = results["split"] + (f" ({results['split_by']})" if results.get("split_by") else "")
    counted = [f"{results['images']} images"] if "images" in results else []
    counted += [f"n = {n}"] + ([QUERIES[results["query"]]] if "query" in results else [])
    sentences = [f"{results['data']}, split {split}: {', '.join(counted)}."]
    if "iou" in results:
        sentences.append(f"IoU {results['iou']}.")
    if any("intervals" in record for record in _records(results).values()):
        sentences.append("Intervals are 95 % bootstrap over images.")
    sentences += [f"{key.capitalize()}: {results[key]}." for key in ("weights", "proposals") if results.get(key)]
    return " ".join([*sentences, note]).strip()


def _records(results: Mapping[str, Any]) -> dict[str, Any]:
    return {**results["methods"], **results.get("bounds", {})}


def _table(name: str, title: str, results: Mapping[str, Any], columns: Sequence[Column], note: str = "") -> Table:
    """A table with a row per method and per bound; no section is left where nothing was measured."""
    used = [
        column for column in columns if any(_measured(column.cell(record)) for record in _records(results).values())
    ]
    sections = {}
    for section, records in ((METHODS, results["methods"]), (BOUNDS, results.get("bounds", {}))):
        rows = [[_name(method), *(column.cell(record) for column in used)] for method, record in records.items()]
        rows = [row for row in rows if any(_measured(cell) for cell in row[1:])]
        if rows:
            sections[section] = rows
    headings = ("method", *(column.heading for column in used))
    names = ("method", *(name for column in used for name in column.names))
    return Table(name, title, caption(results, note), headings, names, sections)


def _measured(cell: Cell) -> bool:
    return cell.values[0] is not None


def _name(text: str) -> Cell:
    return Cell(text, (text,))


def _number(value: float | None, digits: int = 3, unit: float = 1) -> Cell:
    return Cell(ABSENT if value is None else f"{value * unit:.{digits}f}", (value,))


def _metric(heading: str, metric: str) -> Column:
    return Column(heading, (metric,), lambda record: _number(record["metrics"].get(metric)))


def _with_interval(heading: str, metric: str, results: Mapping[str, Any]) -> Column:
    """The metric and, where any method has one, its interval."""
    if not any(metric in record.get("intervals", {}) for record in _records(results).values()):
        return _metric(heading, metric)
    names = (metric, f"{metric} low", f"{metric} high")
    return Column(f"{heading} [95 %]", names, lambda record: _interval(record, metric))


def _seconds(record: Mapping[str, Any], key: str, digits: int, unit: float = 1) -> Cell:
    return _number(record.get("seconds", {}).get(key), digits, unit)


def _interval(record: Mapping[str, Any], metric: str) -> Cell:
    value = record["metrics"].get(metric)
    low, high = record.get("intervals", {}).get(metric, (None, None))
    text = _number(value).text + (f" [{low:.3f}, {high:.3f}]" if low is not None else "")
    return Cell(text, (value, low, high))


def _difference(record: Mapping[str, Any], metric: str) -> Cell:
    behind = record.get("behind", {}).get(metric)
    if behind is None:
        return Cell(ABSENT, (None, None, None))
    low, high = behind["interval"]
    return Cell(f"{behind['difference']:+.3f} [{low:+.3f}, {high:+.3f}]", (behind["difference"], low, high))


def _p_value(record: Mapping[str, Any], metric: str) -> Cell:
    behind = record.get("behind", {}).get(metric)
    if behind is None:
        return Cell(ABSENT, (None,))
    return Cell(f"{behind['p_value']:.4f}", (behind["p_value"],))


def _subset(record: Mapping[str, Any], tag: str) -> Cell:
    subset = record.get("subsets", {}).get(tag)
    if subset is None:
        return Cell(ABSENT, (None, None))
    accuracy = subset["metrics"].get("acc@0.5")
    return Cell(_number(accuracy).text, (subset["n"], accuracy))
