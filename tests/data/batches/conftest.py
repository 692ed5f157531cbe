from __future__ import annotations

import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.writer import write_refshapes


@pytest.fixture(scope="module")
def refshapes(tmp_path_factory: pytest.TempPathFactory) -> RefCOCOg:
    root = tmp_path_factory.mktemp("refshapes") / "data"
    write_refshapes(root, {"train": 20, "val": 1, "test": 1})
    return RefCOCOg(root, "train", group_by="image")
