"""Filling a feature cache: neither a kill, a second writer nor a full disk spoils it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from grounding import InputError
from grounding.data.features import StoredFeatures
from grounding.data.refcocog import RefCOCOg
from grounding.dense_clip import DenseFeatures
from grounding.encoder import Encoder
from grounding.feature_cache import record_of
from tests.cached_data import BLOCKS, IMAGES, assert_holds, dataset_of, encoder_of, files_in, filled
from tests.scripts import ROOT
from tests.toy_data import write_toy_data


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy data in data/; not to be changed."""
    folder = tmp_path_factory.mktemp("filled")
    write_toy_data(folder / "data", {"train": IMAGES, "val": 2, "test": 1})
    return folder


def test_workers_fill_it_alike(root: Path, tmp_path: Path) -> None:
    dataset, encoder = dataset_of(root / "data"), encoder_of()
    assert_holds(filled(tmp_path / "cache", dataset, encoder, workers=2), dataset, encoder)


# A process of its own that fills the cache, in company or until it kills itself in the middle of the second block.
WRITER = """
import os, signal, sys
from pathlib import Path
import numpy as np
import tests.test_feature_filling as here

data, folder, own, other = map(Path, sys.argv[1:5])
encoder, save = here.encoder_of(), np.save

def save_half(file, records):
    if (folder / "00000000").exists():
        file.write(records.tobytes()[: records.nbytes // 2])
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    save(file, records)

if sys.argv[5] == "killed":
    np.save = save_half
print(len(here.filled_in_company(folder, here.dataset_of(data), encoder, own, other)))
"""


def filled_in_company(folder: Path, dataset: RefCOCOg, encoder: Encoder, own: Path, other: Path) -> list[int]:
    """Fills the cache, but does not go on with the first block before `other` is there; returns what was encoded."""
    encode, calls = encoder.encode_squares, []

    def in_company(squares: Tensor) -> DenseFeatures:
        calls.append(len(squares))
        own.touch()
        until = time.monotonic() + 100
        while not other.exists() and time.monotonic() < until:
            time.sleep(0.01)
        return encode(squares)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoder, "encode_squares", in_company)
        filled(folder, dataset, encoder)
    return calls


def writer(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


def test_a_killed_writer_leaves_whole_blocks_and_its_work_to_others(root: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    killed = writer(root / "data", folder, tmp_path / "own", root, "killed")
    assert killed.wait(timeout=120) == -signal.SIGKILL
    assert (folder / "00000000").is_file()
    assert (folder / "00000001.part").stat().st_size > 0
    assert not (folder / "00000001").exists()
    dataset, encoder = dataset_of(root / "data"), encoder_of()
    stored = StoredFeatures(folder, images=IMAGES, record=record_of(encoder))
    assert stored.missing == IMAGES - 8

    assert filled_in_company(folder, dataset, encoder, tmp_path / "own", folder) == [8, 4]
    assert files_in(folder) == BLOCKS
    assert_holds(stored, dataset, encoder, by_another=True)


def test_two_writers_share_the_blocks(root: Path, tmp_path: Path) -> None:
    folder, one, two = tmp_path / "cache", tmp_path / "one", tmp_path / "two"
    dataset, encoder = dataset_of(root / "data"), encoder_of()
    other = writer(root / "data", folder, one, two, "together")
    written = len(filled_in_company(folder, dataset, encoder, two, one))
    stored = StoredFeatures(folder, images=IMAGES, record=record_of(encoder))
    assert_holds(stored, dataset, encoder, by_another=True)
    assert files_in(folder) == BLOCKS
    written_by_other = int(other.communicate(timeout=120)[0])
    assert other.returncode == 0
    assert written and written_by_other and written + written_by_other == len(BLOCKS)


def test_a_disk_that_fills_up_leaves_no_half_block(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(file: object, records: np.ndarray) -> None:
        file.write(records.tobytes()[:100])  # type: ignore[attr-defined]
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(np, "save", failing)
    with pytest.raises(InputError, match=r"00000000 cannot be written .*No space left"):
        filled(tmp_path / "cache", dataset_of(root / "data"), encoder_of())
    assert not files_in(tmp_path / "cache")
