"""Variables of launchers count only where a launch is whole: what a cluster's shell leaves behind changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from grounding.errors import InputError
from grounding.runtime.distributed import join_launch
from grounding.runtime.launch import LAUNCH, is_main, refuse_several
from tests.scripts import ROOT
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

TWO = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data and a CLIP; not to be changed."""
    folder = tmp_path_factory.mktemp("launch")
    write_toy_data(folder / "data", {"train": 2, "val": 1, "test": 1})
    save_tiny_clip(folder / "clip.pt")
    return folder


ALONE = [
    {"RANK": "16"},
    {"RANK": "3", "LOCAL_RANK": "3", "MASTER_ADDR": "node", "MASTER_PORT": "29500"},
    {**TWO, "WORLD_SIZE": "1"},
    {"SLURM_PROCID": "3", "SLURM_NTASKS": "4", "SLURM_LOCALID": "1"},
    {"OMPI_COMM_WORLD_SIZE": "4", "OMPI_COMM_WORLD_RANK": "2", "PMI_SIZE": "4"},
]


@pytest.mark.parametrize("environment", ALONE)
def test_a_part_of_a_launch_is_one_process(monkeypatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refuse_several("this")
    assert is_main()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"RANK": ""}, "RANK not set"),
        ({"LOCAL_RANK": "", "MASTER_PORT": ""}, "LOCAL_RANK, MASTER_PORT not set"),  # as a PyTorchJob of Kubeflow
        ({"RANK": "2"}, "RANK '2'"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE 'two'"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "WORLD_SIZE '0'"),
    ],
)
def test_several_processes_without_a_whole_launch_are_refused(monkeypatch, changed, said: str) -> None:
    for name, value in {**TWO, **changed}.items():
        monkeypatch.setenv(name, value)
    assert is_main(), "it has to be said"
    for start in (lambda: refuse_several("this"), lambda: join_launch("cpu")):
        with pytest.raises(InputError, match=f"{said}.*: start several processes with torchrun, or unset WORLD_SIZE"):
            start()


def test_a_whole_launch_counts(monkeypatch) -> None:
    for name, value in TWO.items():
        monkeypatch.setenv(name, value)
    assert not is_main()
    with pytest.raises(InputError, match="this works in one process"):
        refuse_several("this")


def test_a_rank_that_was_left_behind_does_not_keep_a_run_from_being_written(folder: Path, tmp_path: Path) -> None:
    """In a process of its own: what accelerate makes of an environment it keeps."""
    command = [sys.executable, "train.py", "--data", folder / "data", "--output", tmp_path / "run", "--device", "cpu",
               "--epochs", "1", "--images_per_batch", "2", "--phrases_per_image", "1", "--model.clip",
               folder / "clip.pt", "--model.model_size", "64"]  # fmt: skip
    left_behind = {"RANK": "16", "LOCAL_RANK": "2", "PMI_SIZE": "4"}
    outcome = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, timeout=300,
                             env={"PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1", "HOME": str(folder), **left_behind},
                             check=False)  # fmt: skip
    assert outcome.returncode == 0, outcome.stderr
    assert f"the run is in {tmp_path / 'run'}" in outcome.stdout
    assert json.loads((tmp_path / "run" / "metrics.jsonl").read_text())["epoch"] == 1
    assert (tmp_path / "run" / "decoder.safetensors").is_file()
