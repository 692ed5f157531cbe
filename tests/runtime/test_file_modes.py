"""Whoever the umask lets read new files may read all that a run has written, weights among them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grounding.extraction.quality import BoxQualityHead
from grounding.extraction.settings import ExtractionConfig, save_extraction
from grounding.runtime.files import atomic_write
from tests.trained_run import make_trained_run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are POSIX's")


@pytest.fixture(params=[0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
            for path in folder.rglob("*") if path.is_file()}  # fmt: skip


def test_weights_in_the_place_of_an_unreadable_file(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "weights.safetensors"
    for left_behind in (path, tmp_path / "weights.safetensors.part"):  # by a killed program, say
        left_behind.write_text("old")
        left_behind.chmod(0o600)
    with atomic_write(path) as unfinished:
        save_file({"a": torch.zeros(1)}, unfinished)
    assert modes(tmp_path) == {"weights.safetensors": 0o666 & ~umask}


def test_all_files_of_a_run(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        run = make_trained_run(tmp_path) / "run"
        save_extraction(run, ExtractionConfig(method="quality"), BoxQualityHead())
    finally:
        os.umask(before)
    found = modes(run)
    assert {"decoder.safetensors", "box_quality.safetensors", "config.yaml"} <= found.keys()
    assert sum(name.startswith("states") for name in found) == 2
    assert {name: oct(mode) for name, mode in found.items() if mode != 0o644} == {}
