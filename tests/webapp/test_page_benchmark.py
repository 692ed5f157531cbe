from pathlib import Path

from benchmarks.page import measure


def test_everything_is_measured(photo_file: Path) -> None:
    measured = measure("refshapes", photo_file, 1)
    assert len(measured) == 6 and all(value > 0 for value in measured.values())
