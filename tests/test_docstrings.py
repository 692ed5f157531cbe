"""The examples in docstrings give what they say, in a folder as docs/api.md describes it."""

from __future__ import annotations

import doctest
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import grounding
from grounding.data.refshapes.writer import make_split_scene, write_refshapes

DOCUMENTED = re.findall(r"^::: (\S+)$", Path("docs/api.md").read_text("utf-8"), re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("examples")
    write_refshapes(folder / "data" / "refshapes", train=2, val=2, test=1)
    Image.fromarray(make_split_scene("val", 0, 0)[0].image).save(folder / "scene.jpg")
    return folder


def test_everything_public_is_in_the_reference() -> None:
    assert {f"grounding.{name}" for name in grounding.__all__} <= set(DOCUMENTED)


@pytest.mark.parametrize("name", DOCUMENTED)
def test_examples(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    module, _, last = name.rpartition(".")
    value = getattr(import_module(module), last)
    known = {"np": np, "grounding": grounding, value.__name__: value}
    [example, *_] = doctest.DocTestFinder(recurse=False).find(value, name, globs=known)
    assert example.examples, f"{name} has no example"
    said: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(example, out=said.append)
    assert not said, "".join(said)
