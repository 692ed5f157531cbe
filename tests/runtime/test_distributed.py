"""Two processes, started by `torchrun` as users do, leave what one leaves, to the last bit; and fail as one does."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

import grounding.evaluation.compare as comparison
from grounding import InputError
from grounding.errors import SharedError
from grounding.evaluation.evaluate import predict_blocks
from grounding.runtime import cli
from grounding.runtime.distributed import gather, is_main, process_count, process_index
from grounding.runtime.shards import ShardedFile
from grounding.visualization import report
from tests.ended import ending_both, no_space
from tests.processes import in_processes
from tests.runtime.shared_work import BOUNDS, METHODS, evaluation, work
from tests.scripts import ROOT
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

IMAGES = 35  # blocks of 16, 16 and 3


@pytest.fixture(scope="module", autouse=True)
def as_in_the_processes() -> Iterator[None]:
    """With another number of threads, sums would be taken in another order; plots take long."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_plots", lambda *_: {})
        yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a CLIP; not to be changed."""
    folder = tmp_path_factory.mktemp("processes")
    write_toy_data(folder / "data", {"val": 1, "test": IMAGES})
    save_tiny_clip(folder / "clip.pt")
    return folder


@pytest.fixture(scope="module")
def alone(folder: Path) -> tuple[Path, list[Any]]:
    """What one process leaves and says."""
    return folder / "alone", work(folder, folder / "alone")


def launch(folder: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
               "-m", "tests.runtime.shared_work", str(folder), str(output)]  # fmt: skip
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False)


def lines(output: Path, name: str) -> list[str]:
    return (output / "predictions" / f"{name}.jsonl").read_text().splitlines()


def without_seconds(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: without_seconds(value) for name, value in content.items() if name != "seconds"}
    return content


def killed_after_a_block(*arguments: Any, **options: Any) -> Iterator[Any]:
    yield next(predict_blocks(*arguments, **options))
    raise KeyboardInterrupt


def test_two_go_on_where_a_killed_one_was_and_leave_what_one_leaves(folder, alone, monkeypatch) -> None:
    output = folder / "two"
    monkeypatch.setattr(comparison, "predict_blocks", killed_after_a_block)
    with pytest.raises(KeyboardInterrupt):
        report.report_comparison(evaluation(folder, output))
    _, kept = json.loads((output / "predictions" / "zero-shot.shards" / "0.jsonl").read_text())
    outcome = launch(folder, output)
    assert outcome.returncode == 0, outcome.stderr
    assert lines(output, "zero-shot")[: len(kept)] == kept  # with the seconds of the killed one: not asked again
    for name in (*METHODS, *BOUNDS):
        one, two = ([without_seconds(json.loads(line)) for line in lines(each, name)] for each in (alone[0], output))
        assert one == two
    one, two = (without_seconds(json.loads((each / "results.json").read_text())) for each in (alone[0], output))
    assert one == two
    assert not list(output.rglob("*.shards")) and not list(output.rglob("*.part"))
    said = [json.loads((output / f"said{rank}.json").read_text()) for rank in range(2)]
    assert said[0][1] == said[1][1] == alone[1][1]
    assert said[1][0] == "" and said[0][0]
    # Of the first process alone: its last block, as the killed one made its first; and its first and its last.
    bars = re.findall(r"zero-shot \(share (\d) of 2\):[^|]*\|[^|]*\| 0/(\d+) ", outcome.stderr)
    assert bars == [("0", "3"), ("0", "19")]


def numbered(monkeypatch, rank: str) -> None:
    """As one of two processes of a launch."""
    whole = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}
    for name, value in whole.items():
        monkeypatch.setenv(name, value)


def test_the_first_process_speaks_at_once_and_another_one_later(monkeypatch, capsys) -> None:
    slept: list[float] = []
    monkeypatch.setattr(cli.time, "sleep", slept.append)
    for rank, expected, before in (("0", [], ""), ("1", [cli.SECONDS_FOR_THE_FIRST], "\n")):
        numbered(monkeypatch, rank)
        with pytest.raises(SystemExit) as stopped, cli.exit_on_input_error():
            raise cli.InputError("wrong")
        assert (stopped.value.code, slept, capsys.readouterr().err) == (2, expected, f"{before}error: wrong\n")


def test_what_all_have_heard_the_first_process_alone_says(monkeypatch, capsys) -> None:
    monkeypatch.setattr(cli.time, "sleep", lambda _: None)
    numbered(monkeypatch, "1")
    with pytest.raises(SystemExit) as stopped, cli.exit_on_input_error():
        raise SharedError("wrong")
    assert (stopped.value.code, capsys.readouterr().err) == (2, "")


def test_of_several_processes_that_are_stopped_the_first_one_says_so(monkeypatch, capsys) -> None:
    for rank, expected in (("0", "\nstopped; what is finished is kept\n"), ("1", "")):
        numbered(monkeypatch, rank)
        with pytest.raises(SystemExit) as stopped, cli.exit_on_input_error():
            raise KeyboardInterrupt
        assert (stopped.value.code, capsys.readouterr().err) == (130, expected)


def test_one_process_alone_needs_no_group() -> None:
    assert (process_index(), process_count()) == (0, 1)
    assert gather([1, 2]) == [1, 2]


def locked_elsewhere(*_: object, **__: object) -> Iterator[None]:
    raise InputError("another comparison works here")


def compare_where_the_main_process_fails(folder: Path, output: Path) -> None:
    """What each of two processes does."""
    torch.set_num_threads(1)
    for owner, name, error in ((comparison, "locked", locked_elsewhere), (ShardedFile, "__init__", no_space),
                               (ShardedFile, "append", no_space), (ShardedFile, "finish", no_space)):  # fmt: skip
        with ending_both(output / f"{name}_ended"), pytest.MonkeyPatch.context() as patch:
            if is_main():
                patch.setattr(owner, name, error)
            comparison.compare(evaluation(folder, output / name))


def compare_where_one_process_cannot_read_an_image(folder: Path) -> str:
    """What each of two processes does; returns what it fails with."""
    with pytest.raises(InputError, match=r"toy_020\.png cannot be read") as stopped:
        comparison.compare(evaluation(folder, folder / "out"))
    return stopped.type.__name__


def failing(folder: Path, broken: Path, output: Path) -> str:
    """One after the other: to start two processes takes longest."""
    compare_where_the_main_process_fails(folder, output)
    return compare_where_one_process_cannot_read_an_image(broken)


def test_what_stops_one_process_stops_both(folder, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    (broken / "data" / "images" / "toy_020.png").write_bytes(b"no image")
    ends = in_processes(2, failing, folder, broken, tmp_path)
    assert sorted(ends) == ["InputError", "SharedError"]  # the latter is of what another one says
    shards = (broken / "out" / "predictions" / "zero-shot.shards").glob("*")
    assert {each.name for each in shards} <= {"0.jsonl"}  # what the other one could finish
    assert not (broken / "out" / "results.json").exists()
