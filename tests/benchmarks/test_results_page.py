"""The pages with results hold what was measured, and nothing else of them changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.results import BEGIN, END, SHORT, main, short_table
from grounding import InputError
from tests.scripts import ROOT
from tests.visualization.results_example import example_results

RESULTS = example_results()


def test_page_and_readme(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    readme, page = tmp_path / "README.md", tmp_path / "page.md"
    for path in (readme, page):
        path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):  # writing it again changes nothing
        main(tmp_path / "results.json", tmp_path / "results.json", page, readme)
        assert readme.read_text() == f"before\n{BEGIN}\n{short_table(RESULTS, RESULTS)}\n{END}\nafter\n"
    assert page.read_text().startswith(f"before\n{BEGIN}\n") and page.read_text().endswith(f"{END}\nafter\n")
    assert "## Comparison of the methods" in page.read_text() and "old" not in page.read_text().splitlines()
    rows = [line for line in readme.read_text().splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 1 + len(RESULTS["methods"])
    for name, record in RESULTS["methods"].items():
        said = "ours, as `make demo` trains it" if name == "demo" else name
        row = next(line for line in rows[3:] if line.startswith(f"| {said} |"))
        cells = [cell.strip() for cell in row.strip("| ").split("|")][1:]
        low, high = record["intervals"]["acc@0.5"]
        assert cells[0] == f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"
        assert cells[1:] == [f"{record['metrics'][metric]:.3f}" for metric in list(SHORT.values())[1:]]


def test_readme_without_the_marks_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "results.json").write_text(json.dumps(RESULTS))
    readme = tmp_path / "README.md"
    readme.write_text("before\n")
    with pytest.raises(InputError, match="between which this goes"):
        main(tmp_path / "results.json", tmp_path / "results.json", tmp_path / "page.md", readme)
    assert readme.read_text() == "before\n"
    assert not (tmp_path / "page.md").exists()


def test_the_readme_says_what_the_page_says() -> None:
    """Both are written in one go; a table edited by hand would tell."""
    page = (ROOT / "docs" / "results.md").read_text()
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    values = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert len(values) == 6
    for value in values:
        assert value in page
