"""The numbers of a comparison as tables, made out of the dict that results.json holds.

A column or a row of which nothing was measured is left out. `table_formats.render` prints a table; its printed cells
are rounded, its values are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from grounding.runtime.errors import writable
from grounding.visualization.table_formats import Column, ResultTable, Values, render, table_of

INTERVAL, DIFFERENCE = "{:.3f} [{:.3f}, {:.3f}]", "{:+.3f} [{:+.3f}, {:+.3f}]"
# Heading -> measure: of localisation what the main table has no room for, and likeness in CLIP's joint space.
FURTHER = {"Acc@0.3": "acc@0.3", "Acc@0.7": "acc@0.7", "Acc@0.9": "acc@0.9", "Acc@0.5:0.95": "acc@0.5:0.95",
           "R@1": "recall@1", "R@10": "recall@10", "ECE": "ece"}  # fmt: skip
SEMANTIC = {"Text cos": "text_cosine", "Text Eucl.": "text_euclidean", "Annotated text cos": "annotated_text_cosine",
            "Annotated text Eucl.": "annotated_text_euclidean", "Crop cos": "crop_cosine",
            "Crop Eucl.": "crop_euclidean"}  # fmt: skip
SEMANTIC_NOTE = (
    "Between CLIP's embeddings; text: the phrase and the crop of the best box; annotated text, for reference: the "
    "phrase and the crop of the annotated box; crop: the crops of the best and of the annotated box."
)


def write_tables(results: Mapping[str, Any], folder: Path) -> None:
    """Write tables.md, a CSV of each table, and tables.tex, for the body of a LaTeX document."""
    folder.mkdir(parents=True, exist_ok=True)
    tables = all_tables(results)
    texts = {
        "tables.md": "\n".join(render(table, "markdown") for table in tables),
        "tables.tex": "\n".join(
            ["% Needs \\usepackage{booktabs,graphicx}.", *(render(table, "latex") for table in tables)]
        ),
        **{f"{table.name}.csv": render(table, "csv") for table in tables},
    }
    for name, text in texts.items():
        (folder / name).write_text(writable(text), encoding="utf-8", newline="")


def all_tables(results: Mapping[str, Any]) -> list[ResultTable]:
    """Every table that these results have something for, the main one first."""
    tables = [
        main_table(results),
        difference_table(results),
        _of_methods("localisation", "Further measures of localisation", results, _numbers(FURTHER)),
        _of_methods("semantic_similarity", "Semantic similarity", results, _numbers(SEMANTIC), SEMANTIC_NOTE),
        subsets_table(results),
        breakdown_table(results),
    ]
    return [table for table in tables if table.sections]


def main_table(results: Mapping[str, Any]) -> ResultTable:
    """Methods and bounds: speed, localisation, and how often the region and the category were the right ones."""
    records = _records(results).values()
    accuracy = Column("Acc@0.5", ("acc@0.5",))
    if any("acc@0.5" in record.get("intervals", {}) for record in records):
        accuracy = Column("Acc@0.5 [95 %]", ("acc@0.5", "acc@0.5 low", "acc@0.5 high"), INTERVAL)
    columns = [
        Column("n", ("n",), "{:.0f}"),
        Column("s/image", ("seconds per image",)),
        Column("ms/phrase", ("seconds per phrase",), "{:.1f}", unit=1000),
        Column("Acc@0.25", ("acc@0.25",)),
        accuracy,
        *_numbers({"Acc@0.5 any": "acc@0.5_any", "Acc@0.75": "acc@0.75", "mIoU": "miou", "GIoU": "giou",
                   "Pointing": "pointing", "Pointing any": "pointing_any", "Mass in": "mass_inside",
                   "R@5": "recall@5", "Region acc": "region_accuracy", "Cat. acc": "category_accuracy",
                   "No box": "no_proposal"}),
    ]  # fmt: skip
    several = any("acc@0.5_any" in record["metrics"] for record in records)
    note = "A phrase's boxes count as the one around them; any: as each of them." if several else ""
    return _of_methods("comparison", "Comparison of the methods", results, columns, note)


def difference_table(results: Mapping[str, Any]) -> ResultTable:
    """By how much the first method is better than each other one."""
    columns = []
    for heading, metric in (("Acc@0.5", "acc@0.5"), ("mIoU", "miou"), ("Pointing", "pointing")):
        names = tuple(f"{metric} difference{end}" for end in ("", " low", " high"))
        columns += [Column(f"{heading} [95 %]", names, DIFFERENCE), Column("p", (f"{metric} p",), "{:.4f}")]
    first = next(iter(results["methods"]))
    note = "p: two-sided permutation test over images, not corrected for the number of comparisons."
    return _of_methods("differences", f"{first} minus each other method", results, columns, note)


def subsets_table(results: Mapping[str, Any]) -> ResultTable:
    """Acc@0.5 on the data set's named subsets."""
    first = next(iter(results["methods"].values()))
    columns = [Column(f"{tag} (n = {subset['n']})", (f"{tag} acc@0.5", f"{tag} n"), "{0:.3f}")
               for tag, subset in first.get("subsets", {}).items()]  # fmt: skip
    return _of_methods("subsets", "Acc@0.5 on subsets", results, columns)


def breakdown_table(results: Mapping[str, Any]) -> ResultTable:
    """Acc@0.5 of the methods by phrase length, box area, category and what else was measured; n of the first one."""
    methods = results["methods"]
    sections: dict[str, dict[str, Values]] = {}
    for axis, groups in next(iter(methods.values())).get("breakdowns", {}).items():
        sections[axis] = {
            group: {
                "n": part["n"],
                **{name: each["breakdowns"][axis][group]["metrics"]["acc@0.5"] for name, each in methods.items()},
            }
            for group, part in groups.items()
        }
    columns = [Column("n", ("n",), "{:.0f}"), *(Column(name, (name,)) for name in methods)]
    return table_of("breakdowns", "Acc@0.5 by kind of phrase and object", caption(results), "group", columns, sections)


def sets_table(results: Mapping[str, Any]) -> ResultTable:
    """What `evaluate.py sets` measures."""
    shares = {"Set acc": "set_accuracy", "N-acc": "n_acc", "T-acc": "t_acc"}
    columns = [Column("n", ("n",), "{:.0f}")]
    columns += [Column(f"{heading} [95 %]", (name, f"{name} low", f"{name} high"), INTERVAL)
                for heading, name in shares.items()]  # fmt: skip
    columns += _numbers({"AUROC of presence": "presence_auroc"})
    note = (
        "Set acc: every object has one box at IoU 0.5 and every box an object; N-acc, T-acc: no box where nothing "
        f"fits, some where something does; thresholds on probabilities, which were calibrated on "
        f"{results['threshold_split']}, or with the run."
    )
    return _of_methods("sets", "Sets of boxes", results, columns, note)


def caption(results: Mapping[str, Any], note: str = "") -> str:
    """Under which conditions the numbers hold, in one line: data, split, n, IoU, intervals, weights."""
    sizes = sorted({record["n"] for record in _records(results).values()})
    n = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]} (see each row)"
    split = results["split"] + (f" ({results['split_by']})" if results.get("split_by") else "")
    counted = [f"{results['images']} images"] if "images" in results else []
    counted += [f"n = {n}", "one query per expression"]
    sentences = [f"{results['data']}, split {split}: {', '.join(counted)}."]
    if left_out := results.get("left_out"):
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        sentences.append(f"{sum(left_out.values())} phrases left out: {reasons}.")
    if "iou" in results:
        sentences.append(f"IoU {results['iou']}.")
    if any("intervals" in record for record in _records(results).values()):
        sentences.append("Intervals are 95 % bootstrap over images.")
    sentences += [f"{key.capitalize()}: {results[key]}." for key in ("weights", "proposals") if results.get(key)]
    return " ".join([*sentences, note]).strip()


def _records(results: Mapping[str, Any]) -> dict[str, Any]:
    return {**results["methods"], **results.get("bounds", {})}


def _of_methods(
    name: str, title: str, results: Mapping[str, Any], columns: Sequence[Column], note: str = ""
) -> ResultTable:
    """A table with a row per method and per bound."""
    sections = {
        section: {member: _values(record) for member, record in results.get(key, {}).items()}
        for section, key in (("methods", "methods"), ("bounds, not methods", "bounds"))
    }
    return table_of(name, title, caption(results, note), "method", columns, sections)


def _numbers(metrics: Mapping[str, str]) -> list[Column]:
    return [Column(heading, (metric,)) for heading, metric in metrics.items()]


def _values(record: Mapping[str, Any]) -> Values:
    """All numbers of a method's record, by the names that columns have for them."""
    values = {"n": record["n"], **record["metrics"]}
    values |= {f"seconds per {name.removeprefix('per_')}": each for name, each in record.get("seconds", {}).items()}
    for metric, ends in record.get("intervals", {}).items():
        values[f"{metric} low"], values[f"{metric} high"] = ends
    for metric, behind in record.get("behind", {}).items():
        values[f"{metric} difference"], values[f"{metric} p"] = behind["difference"], behind["p_value"]
        values[f"{metric} difference low"], values[f"{metric} difference high"] = behind["interval"]
    for tag, subset in record.get("subsets", {}).items():
        values[f"{tag} n"], values[f"{tag} acc@0.5"] = subset["n"], subset["metrics"].get("acc@0.5")
    return values
