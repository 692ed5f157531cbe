from pathlib import Path

from benchmarks.page import ENCODED, measure, table


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
