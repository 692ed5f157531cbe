import csv
import re
from pathlib import Path

import pandas as pd
import pytest

from grounding.visualization.table_formats import ResultTable, render
from grounding.visualization.tables import all_tables, caption, main_table, write_tables
from tests.visualization.results_example import BOUNDS, METHODS, example_results

RESULTS = example_results()
RECORDS = {**RESULTS["methods"], **RESULTS["bounds"]}
MAIN = {"Acc@0.25": "acc@0.25", "Acc@0.75": "acc@0.75", "mIoU": "miou", "GIoU": "giou", "Pointing": "pointing",
        "Mass in": "mass_inside", "R@5": "recall@5", "Region acc": "region_accuracy",
        "Cat. acc": "category_accuracy", "No box": "no_proposal"}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all tables."""
    folder = tmp_path_factory.mktemp("tables") / "new"
    write_tables(RESULTS, folder)
    names = {"tables.md", "tables.tex", *(f"{table.name}.csv" for table in all_tables(RESULTS))}
    assert {path.name for path in folder.iterdir()} == names
    assert (folder / "tables.tex").read_text().count(r"\label{tab:") == len(all_tables(RESULTS))
    return folder


def rows_of(written: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((written / f"{name}.csv").read_text().splitlines()))


def test_csv_holds_the_unrounded_numbers_in_order(written: Path) -> None:
    rows = rows_of(written, "comparison")
    assert [row["method"] for row in rows] == [*METHODS, *BOUNDS]
    assert [row["section"] for row in rows] == ["methods"] * 5 + ["bounds, not methods"] * 6
    for row in rows:
        record = RECORDS[row["method"]]
        for metric in ("acc@0.5", *MAIN.values()):
            assert float(row[metric]) == record["metrics"][metric]
        assert [float(row["acc@0.5 low"]), float(row["acc@0.5 high"])] == record["intervals"]["acc@0.5"]
        assert float(row["seconds per image"]) == record["seconds"]["per_image"]
        assert float(row["seconds per phrase"]) == record["seconds"]["per_phrase"]
        assert int(row["n"]) == record["n"]


def test_printed_numbers_are_the_measured_ones() -> None:
    table = main_table(RESULTS)
    assert [[row[0] for row in rows] for rows in table.sections.values()] == [list(METHODS), list(BOUNDS)]
    for row in (row for rows in table.sections.values() for row in rows):
        record = RECORDS[row[0]]
        low, high = record["intervals"]["acc@0.5"]
        expected = {heading: f"{record['metrics'][metric]:.3f}" for heading, metric in MAIN.items()}
        expected |= {"method": row[0], "n": str(record["n"]), "s/image": f"{record['seconds']['per_image']:.3f}",
                     "ms/phrase": f"{record['seconds']['per_phrase'] * 1000:.1f}",
                     "Acc@0.5 [95 %]": f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"}  # fmt: skip
        assert dict(zip(table.headings, row, strict=True)) == expected


def test_text_fits_the_screen_and_bounds_stand_apart() -> None:
    texts = [render(table, "text") for table in all_tables(example_results(n=58789))]
    assert max(len(line) for text in texts for line in text.splitlines()) <= 160
    lines = texts[0].splitlines()
    index = lines.index("bounds, not methods:")
    assert [line.split()[0] for line in lines[index + 1 :]] == list(BOUNDS) and lines[index - 1].startswith(METHODS[-1])


def test_differences_subsets_and_breakdowns(written: Path) -> None:
    of_methods = RESULTS["methods"]
    rows = rows_of(written, "differences")
    assert [row["method"] for row in rows] == list(METHODS[1:])
    for row in rows:
        behind = of_methods[row["method"]]["behind"]["miou"]
        found = [float(row[f"miou {part}"]) for part in ("difference", "difference low", "difference high", "p")]
        assert found == [behind["difference"], *behind["interval"], behind["p_value"]]
    markdown = (written / "tables.md").read_text()
    behind = of_methods["gradcam"]["behind"]["acc@0.5"]
    assert re.search(rf"gradcam +\| +\+{behind['difference']:.3f} \[\+0\.050, \+0\.250\] \| +{behind['p_value']:.4f} ",
                     markdown)  # fmt: skip
    assert "demo minus each other method" in markdown and "novel (n = 100)" in markdown

    for row in rows_of(written, "subsets")[: len(METHODS)]:
        subset = of_methods[row["method"]]["subsets"]["relation"]
        assert float(row["relation acc@0.5"]) == subset["metrics"]["acc@0.5"] and int(row["relation n"]) == subset["n"]

    rows = rows_of(written, "breakdowns")
    groups = [(axis, group) for axis, groups in of_methods["demo"]["breakdowns"].items() for group in groups]
    assert [(row["section"], row["group"]) for row in rows] == groups
    for row in rows:
        for name in METHODS:
            part = of_methods[name]["breakdowns"][row["section"]][row["group"]]
            assert float(row[name]) == part["metrics"]["acc@0.5"]


def test_caption_has_all_facts_and_is_on_every_table() -> None:
    line = caption(RESULTS)
    for fact in ("data/refshapes_100%", "split test (umd)", "1021 images", "n = 400", "bootstrap", "CLIP embedded"):
        assert fact in line
    assert all(table.caption.startswith(line) for table in all_tables(RESULTS))
    fewer = {**RESULTS, "methods": {**RESULTS["methods"], "demo": {**RESULTS["methods"]["demo"], "n": 390}}}
    assert "n = 390 to 400" in caption(fewer)


def test_one_method_without_a_number_gets_a_dash() -> None:
    results = example_results()
    gradcam = results["methods"]["gradcam"]
    del gradcam["metrics"]["pointing"], gradcam["intervals"]
    table = main_table(results)
    values = table.values.set_index("method").loc["gradcam"]
    assert values["pointing"] is None and values["acc@0.5 low"] is None
    [line] = [line for line in render(table, "text").splitlines() if line.startswith("gradcam")]
    assert line.split().count("-") == 1 and f" {gradcam['metrics']['acc@0.5']:.3f}  " in line


def test_markdown_is_one_table_of_equal_rows() -> None:
    results = example_results()
    results["methods"]["a|b"] = results["methods"].pop("reclip")
    rows = [line for line in render(main_table(results), "markdown").splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert sum(set(row) <= set("|-:") for row in rows) == 1 and any("a\\|b" in row for row in rows)


def test_latex_is_escaped_and_balanced() -> None:
    results = example_results()
    results["methods"]["my_method & 100%"] = results["methods"].pop("demo")
    text = render(main_table(results), "latex")
    assert not re.search(r"(?<!\\)[%_]", text)
    begins, ends = (re.findall(rf"\\{kind}{{(.*?)}}", text) for kind in ("begin", "end"))
    assert sorted(begins) == sorted(ends) == ["table*", "tabular"]
    rows = [line for line in text.splitlines() if line.endswith("\\\\")]
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {len(main_table(results).headings) - 1}


def test_names_of_strangers_are_no_markup() -> None:
    """Categories and subsets are called as a data set's annotations say."""
    name = "<script>|_x_ & 50 % {$y$}"
    table = ResultTable("t", "Title", "Caption", ("Group", "n"), {"": [[name, "1"]]}, pd.DataFrame())
    assert "| &lt;script>\\|_x_ & 50 % {$y$} |" in render(table, "markdown")
    assert r"\ensuremath{<}script\ensuremath{>}|\_x\_ \& 50 \% \{\$y\$\}" in render(table, "latex")
