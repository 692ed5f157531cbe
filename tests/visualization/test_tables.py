import csv
import io
import re
from pathlib import Path

import pandas as pd

from grounding.visualization.table_formats import ResultTable, render
from grounding.visualization.tables import (
    all_tables,
    breakdown_table,
    caption,
    main_table,
    write_tables,
)
from tests.visualization.results_example import BOUNDS, METHODS, example_results, foreign_results

RESULTS = example_results()
MAIN = {"Acc@0.25": "acc@0.25", "Acc@0.75": "acc@0.75", "mIoU": "miou", "GIoU": "giou", "Pointing": "pointing",
        "Mass in": "mass_inside", "R@5": "recall@5", "Region acc": "region_accuracy",
        "Cat. acc": "category_accuracy", "No box": "no_proposal"}  # fmt: skip


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text)))


def comparison_table(results, form="text"):
    return render(main_table(results), form)


def table_named(name, fmt, results=RESULTS):
    (table,) = [table for table in all_tables(results) if table.name == name]
    return render(table, fmt)


def test_csv_holds_the_unrounded_numbers_in_order():
    rows = read_csv(comparison_table(RESULTS, "csv"))
    assert [row["method"] for row in rows] == [*METHODS, *BOUNDS]
    assert [row["section"] for row in rows] == ["methods"] * 5 + ["bounds, not methods"] * 6
    for row in rows:
        record = {**RESULTS["methods"], **RESULTS["bounds"]}[row["method"]]
        for metric in ("acc@0.5", *MAIN.values()):
            assert float(row[metric]) == record["metrics"][metric]
        assert [float(row["acc@0.5 low"]), float(row["acc@0.5 high"])] == record["intervals"]["acc@0.5"]
        assert float(row["seconds per image"]) == record["seconds"]["per_image"]
        assert float(row["seconds per phrase"]) == record["seconds"]["per_phrase"]
        assert int(row["n"]) == record["n"]


def test_printed_numbers_are_the_measured_ones():
    table = main_table(RESULTS)
    assert [[row[0] for row in rows] for rows in table.sections.values()] == [list(METHODS), list(BOUNDS)]
    for row in (row for rows in table.sections.values() for row in rows):
        record = {**RESULTS["methods"], **RESULTS["bounds"]}[row[0]]
        low, high = record["intervals"]["acc@0.5"]
        expected = {heading: f"{record['metrics'][metric]:.3f}" for heading, metric in MAIN.items()}
        expected |= {"method": row[0], "n": str(record["n"]), "s/image": f"{record['seconds']['per_image']:.3f}",
                     "ms/phrase": f"{record['seconds']['per_phrase'] * 1000:.1f}",
                     "Acc@0.5 [95 %]": f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"}  # fmt: skip
        assert dict(zip(table.headings, row, strict=True)) == expected


def test_bounds_stand_apart_and_are_named():
    lines = comparison_table(RESULTS, "text").splitlines()
    index = lines.index("bounds, not methods:")
    assert [line.split()[0] for line in lines[index + 1 :]] == list(BOUNDS)
    assert lines[index - 1].startswith(METHODS[-1])


def test_text_fits_the_screen():
    results = example_results(n=58789)
    assert max(len(line) for table in all_tables(results) for line in render(table, "text").splitlines()) <= 160


def test_differences():
    rows = read_csv(table_named("differences", "csv"))
    assert [row["method"] for row in rows] == list(METHODS[1:])
    for row in rows:
        behind = RESULTS["methods"][row["method"]]["behind"]["miou"]
        assert [float(row[f"miou {part}"]) for part in ("difference", "difference low", "difference high", "p")] == [
            behind["difference"], *behind["interval"], behind["p_value"]
        ]  # fmt: skip
    text = table_named("differences", "text")
    assert text.startswith("demo minus each other method")
    gradcam = next(line for line in text.splitlines() if line.startswith("gradcam"))
    difference = RESULTS["methods"]["gradcam"]["behind"]["acc@0.5"]["difference"]
    p_value = RESULTS["methods"]["gradcam"]["behind"]["acc@0.5"]["p_value"]
    assert f"+{difference:.3f} [+0.050, +0.250]  {p_value:.4f}  " in gradcam


def test_subsets_say_their_size():
    text = table_named("subsets", "text")
    assert "novel (n = 100)" in text and "relation (n = 100)" in text
    for row in read_csv(table_named("subsets", "csv"))[: len(METHODS)]:
        subset = RESULTS["methods"][row["method"]]["subsets"]["relation"]
        assert float(row["relation acc@0.5"]) == subset["metrics"]["acc@0.5"] and int(row["relation n"]) == subset["n"]


def test_breakdowns_hold_every_group():
    rows = read_csv(render(breakdown_table(RESULTS), "csv"))
    breakdowns = RESULTS["methods"]["demo"]["breakdowns"]
    assert [(row["section"], row["group"]) for row in rows] == [
        (a, g) for a, groups in breakdowns.items() for g in groups
    ]
    for row in rows:
        for name in METHODS:
            part = RESULTS["methods"][name]["breakdowns"][row["section"]][row["group"]]
            assert float(row[name]) == part["metrics"]["acc@0.5"]


def test_caption_has_all_facts_and_is_on_every_table():
    line = caption(RESULTS)
    for fact in ("data/refshapes_100%", "split test (umd)", "1021 images", "n = 400", "one query per expression",
                 "pixels of the original image", "95 % bootstrap over images", "CLIP embedded (width 16 & 128 pixels)",
                 "embedded YOLOX"):  # fmt: skip
        assert fact in line
    assert all(table.caption.startswith(line) for table in all_tables(RESULTS))
    fewer = {**RESULTS, "methods": {**RESULTS["methods"], "demo": {**RESULTS["methods"]["demo"], "n": 390}}}
    assert "n = 390 to 400" in caption(fewer)


def test_what_was_not_measured_is_left_out():
    results = foreign_results()
    assert [table.name for table in all_tables(results)] == ["comparison", "localisation"]
    assert main_table(results).headings == ("method", "n", "Acc@0.25", "Acc@0.5", "Acc@0.75", "mIoU")
    assert "bootstrap" not in caption(results)


def test_one_method_without_a_number_gets_a_dash():
    results = example_results()
    del results["methods"]["gradcam"]["metrics"]["pointing"], results["methods"]["gradcam"]["intervals"]
    row = next(row for row in read_csv(comparison_table(results, "csv")) if row["method"] == "gradcam")
    assert row["pointing"] == row["acc@0.5 low"] == ""
    line = next(line for line in comparison_table(results).splitlines() if line.startswith("gradcam"))
    assert line.split().count("-") == 1 and f" {results['methods']['gradcam']['metrics']['acc@0.5']:.3f}  " in line


def test_markdown_is_one_table_of_equal_rows():
    results = example_results()
    results["methods"]["a|b"] = results["methods"].pop("reclip")
    rows = [line for line in comparison_table(results, "markdown").splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert sum(set(row) <= set("|-:") for row in rows) == 1 and any("a\\|b" in row for row in rows)


def test_latex_is_escaped_and_balanced():
    results = example_results()
    results["methods"]["my_method & 100%"] = results["methods"].pop("demo")
    text = comparison_table(results, "latex")
    assert "my\\_method \\& 100\\%" in text and "refshapes\\_100\\%" in text
    assert not re.search(r"(?<!\\)[%_]", text)
    begins, ends = (re.findall(rf"\\{kind}{{(.*?)}}", text) for kind in ("begin", "end"))
    assert sorted(begins) == sorted(ends) == ["table*", "tabular"]
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(main_table(results).headings) - 1}
    assert "\\toprule" in text and "\\bottomrule" in text


def test_files(tmp_path: Path):
    paths = write_tables(RESULTS, tmp_path / "new")
    names = {path.name for path in paths}
    assert names == {path.name for path in (tmp_path / "new").iterdir()}
    assert names == {"tables.md", "tables.tex"} | {f"{table.name}.csv" for table in all_tables(RESULTS)}
    assert (tmp_path / "new/comparison.csv").read_text() == comparison_table(RESULTS, "csv")
    markdown = (tmp_path / "new/tables.md").read_text()
    assert all(f"## {table.title}" in markdown for table in all_tables(RESULTS))


def test_names_of_strangers_are_no_markup():
    """Categories and subsets are called as a data set's annotations say."""
    name = "<script>|_x_ & 50 % {$y$}"
    table = ResultTable("t", "Title", "Caption", ("Group", "n"), {"": [[name, "1"]]}, pd.DataFrame())
    assert "| &lt;script>\\|_x_ & 50 % {$y$} |" in render(table, "markdown")
    assert r"\ensuremath{<}script\ensuremath{>}|\_x\_ \& 50 \% \{\$y\$\}" in render(table, "latex")
