from pathlib import Path

import pytest

from tests.toy_data import edit_toy_data, write_toy_data


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Toy data whose refs are not in the order of images, with a box between pixels that reaches out of image 7."""

    def edit(refs: list[dict], instances: dict) -> None:
        refs.sort(key=lambda ref: ref["ref_id"] % 2 == 0)  # the first object of every image, then the second
        instances["annotations"][12]["bbox"] = [1.5, 2, 100, 12.25]

    return edit_toy_data(write_toy_data(tmp_path / "data"), edit)
