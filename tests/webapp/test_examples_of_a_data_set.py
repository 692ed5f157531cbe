"""Examples from a data set that has no split of the name asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from grounding.errors import InputError
from grounding.webapp.uploads import examples_from_data


def test_another_split_serves_where_there_is_no_test(tmp_path: Path) -> None:
    Image.new("RGB", (20, 10)).save(tmp_path / "a.png")
    (tmp_path / "own.csv").write_text("image,phrase,x1,y1,x2,y2,split\na.png,the cup,1,1,9,9,train\n")
    [example] = examples_from_data(tmp_path, split_by="umd", split="test")
    assert example.path == tmp_path / "a.png" and example.phrases == ("the cup",)
    (tmp_path / "own.csv").write_text("image,phrase,x1,y1,x2,y2,split\na.png,the cup,1,1,9,9,dev\n")
    with pytest.raises(InputError, match="no split 'test': use one of dev"):
        examples_from_data(tmp_path, split_by="umd", split="test")
