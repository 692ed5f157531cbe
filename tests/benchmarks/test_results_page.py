"""The pages with results hold what was measured, and nothing else of them changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.claims import claims_under
from benchmarks.results import BEGIN, END, LADDER, NAMES, SHORT, ladder_table, main
from grounding import InputError
from tests.scripts import ROOT
from tests.visualization.results_example import example_results

RESULTS = example_results()


def test_page_and_readme(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    readme, page, claims = tmp_path / "README.md", tmp_path / "page.md", tmp_path / "claims.json"
    for path in (readme, page):
        path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):  # writing it again changes nothing
        main(tmp_path / "results.json", tmp_path / "results.json", page, readme, claims)
        table = ladder_table(claims_under(LADDER, claims))
        assert readme.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    assert page.read_text().startswith(f"before\n{BEGIN}\n") and page.read_text().endswith(f"{END}\nafter\n")
    assert "## Comparison of the methods" in page.read_text() and "old" not in page.read_text().splitlines()
    rows = [line for line in readme.read_text().splitlines() if line.startswith("|")]
    everything = {**RESULTS["methods"], **RESULTS["bounds"]}
    assert len(rows) == 2 + len(everything)
    for name, record in everything.items():
        row = next(line for line in rows[2:] if line.startswith(f"| {NAMES.get(name, name)} |"))
        cells = [cell.strip() for cell in row.strip("| ").split("|")][1:]
        low, high = record["intervals"]["acc@0.5"]
        assert cells[0] == f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"
        wanted = [record["metrics"].get(metric) for metric in list(SHORT.values())[1:]]
        assert cells[1:] == ["-" if value is None else f"{value:.3f}" for value in wanted]
    accuracies = [float(row.split("|")[2].split()[0]) for row in rows[2:]]
    assert accuracies == sorted(accuracies, reverse=True)


def test_readme_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    readme = tmp_path / "README.md"
    readme.write_text("before\n")
    with pytest.raises(InputError, match="between which this goes"):
        main(*[tmp_path / "results.json"] * 2, tmp_path / "page.md", readme, tmp_path / "claims.json")
    assert readme.read_text() == "before\n"
    assert not (tmp_path / "page.md").exists()


def test_the_readme_says_what_the_page_says() -> None:
    """All are written in one go; a table edited by hand would tell."""
    page = (ROOT / "docs" / "results.md").read_text()
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    values = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert len(values) > 6
    for value in values:
        assert value in page
    assert table.strip() == ladder_table(claims_under(LADDER, ROOT / "docs" / "claims.json"))
