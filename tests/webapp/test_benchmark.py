from pathlib import Path

import pytest

from benchmarks.page import BEGIN, ENCODED, END, between_markers, measure, table
from grounding.errors import InputError


def test_the_table_is_written_between_the_markers_and_nothing_else_changes(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    path.write_text(between_markers(path, "new\n"))
    assert path.read_text() == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
    assert between_markers(path, "new\n") == path.read_text()
    path.write_text("no markers")
    with pytest.raises(InputError, match="no place for the table"):
        between_markers(path, "new")


def test_the_ratio_is_of_a_new_phrase_to_the_encoding() -> None:
    text = table(
        {"small": {ENCODED: 200.0, "a new phrase, ours": 50.0}, "large": {ENCODED: 400.0, "a new phrase, ours": 60.0}},
        3,
    )
    rows = {line.split(" | ")[0].strip("| "): line for line in text.splitlines() if line.startswith("|")}
    assert rows["a new phrase, ours"] == "| a new phrase, ours | 50 | 60 |"
    assert rows["a new phrase, ours / the image encoded"].endswith("| 0.25 | 0.15 |")


def test_everything_is_measured(photo_file: Path) -> None:
    measured = measure("refshapes", photo_file, 1)
    assert len(measured) == 6 and all(value > 0 for value in measured.values())
