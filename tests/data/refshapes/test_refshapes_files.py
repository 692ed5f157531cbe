"""The benchmark's folder: written whole or not at all, repeatable, and never over the files of others."""

from __future__ import annotations

import multiprocessing
import subprocess
import sys
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes import writer
from grounding.data.refshapes.writer import make_split_scene, write_refshapes
from grounding.runtime.errors import InputError
from tests.scripts import ROOT, assert_refused, run_script

FEW = {"train": 5, "val": 2, "test": 3}
IMAGES = sum(FEW.values())


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_folder_is_read_as_refcocog_and_a_seed_gives_the_same_bytes_on_any_cores(tmp_path, monkeypatch):
    write_refshapes(tmp_path / "r", **FEW, seed=3)
    for split, count in FEW.items():
        dataset = RefCOCOg(tmp_path / "r", split, group_by="image")
        dataset.check_images()
        assert len(list(dataset.images_dir.glob(f"refshapes_{split}_*.jpg"))) == count
        for example in dataset:
            scene = make_split_scene(split, int(example.expressions[0].image_path.stem[-6:]), 3)[0]
            assert np.abs(example.image.astype(int) - scene.image).mean() < 8  # JPEG
    sentence_ids = [e.sent_id for split in FEW for e in RefCOCOg(tmp_path / "r", split).expressions]
    assert sorted(sentence_ids) == list(range(len(sentence_ids)))
    monkeypatch.setattr(writer.os, "cpu_count", lambda: 1)
    write_refshapes(tmp_path / "same", **FEW, seed=3)
    write_refshapes(tmp_path / "other", **FEW, seed=4)
    found, same, other = (files_of(tmp_path / name) for name in ("r", "same", "other"))
    assert found == same and list(found) == list(other)
    assert not [name for name in found if found[name] == other[name]]


def test_a_complete_folder_is_kept_and_one_of_another_recipe_replaced(tmp_path, monkeypatch):
    root = tmp_path / "r"
    write_refshapes(root, **FEW)
    (root / "images" / "refshapes_train_000000.jpg").touch()
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_refshapes(root, **FEW)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    monkeypatch.chdir(root)
    write_refshapes(Path("."), **{**FEW, "val": 3}, seed=1)  # has no name to derive the unfinished folder's from
    write_refshapes(tmp_path / "fresh", **{**FEW, "val": 3}, seed=1)
    assert files_of(root) == files_of(tmp_path / "fresh") and len(list((root / "images").iterdir())) == IMAGES + 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "r"]


@pytest.mark.parametrize("with_benchmark", [False, True])
def test_what_is_not_the_benchmarks_is_refused_and_left_alone(tmp_path, with_benchmark):
    root = tmp_path / "r"
    if with_benchmark:
        write_refshapes(root, **FEW)
    root.mkdir(exist_ok=True)
    (root / "thesis.txt").write_text("years of work")
    before = files_of(tmp_path)
    for path, counts, seed, message in (
        (root, FEW, 1, r"thesis\.txt"),
        (root / "thesis.txt", FEW, 0, "is a file"),
        (tmp_path / "new", {**FEW, "val": -1}, 0, "negative"),
        (tmp_path / "new", FEW, -1, "negative"),
    ):
        with pytest.raises(InputError, match=message):
            write_refshapes(path, **counts, seed=seed)
    assert files_of(tmp_path) == before and not (tmp_path / "new").exists()


def test_a_killed_run_leaves_nothing_that_looks_complete_and_the_old_benchmark_whole(tmp_path, monkeypatch):
    write_refshapes(tmp_path / "old", **FEW)
    before = files_of(tmp_path / "old")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_write_annotations", Mock(side_effect=KeyboardInterrupt))
        for name in ("new", "old"):
            with pytest.raises(KeyboardInterrupt):
                write_refshapes(tmp_path / name, **FEW, seed=1)
    assert not (tmp_path / "new").exists()
    assert files_of(tmp_path / "old") == before
    assert len(list(tmp_path.rglob("refshapes.json"))) == 1
    for name in ("new", "old"):
        write_refshapes(tmp_path / name, **FEW, seed=1)
    assert files_of(tmp_path / "new") == files_of(tmp_path / "old") != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def test_the_command(tmp_path, capsys):
    command = "grounding.data.refshapes"
    outcome = run_script(capsys, command, "--root", tmp_path / "r", "--train", 4, "--val", 2, "--test", 2)
    assert outcome.code == 0 and str(tmp_path / "r") in outcome.out
    assert len(list((tmp_path / "r" / "images").iterdir())) == 8
    (tmp_path / "mine.txt").touch()
    assert_refused(run_script(capsys, command, "--root", tmp_path), "mine.txt")


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no process is forked here")
def test_a_forked_worker_leaves_a_session_of_its_parent_alone() -> None:
    """Collected in the child, where its threads are not, such a session ends or stops the process."""
    program = """
import gc, multiprocessing
from concurrent.futures import ProcessPoolExecutor
import onnxruntime
from grounding.data.refshapes.writer import _begin_worker
from grounding.methods.proposals import EMBEDDED_FILE

gc.disable()
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = 4
cycle = [onnxruntime.InferenceSession(EMBEDDED_FILE, options, providers=["CPUExecutionProvider"])]
cycle.append(cycle)
del cycle
context = multiprocessing.get_context("fork")
with ProcessPoolExecutor(1, initializer=_begin_worker, mp_context=context) as pool:
    print(pool.submit(gc.collect).result() >= 0)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert done.stdout.strip() == "True", done.stderr
