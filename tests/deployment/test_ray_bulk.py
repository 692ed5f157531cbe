"""Bulk grounding by Ray's processes: the same files whatever their number, and whoever is killed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grounding.deployment.bulk import BulkConfig
from tests.scripts import ROOT
from tests.tar_files import jpeg, write_tar

REASON = "needs pip install -r requirements-ray.txt"
ray = pytest.importorskip("ray", reason=REASON)
pytest.importorskip("webdataset", reason=REASON)
ray_bulk = pytest.importorskip("grounding.deployment.ray_bulk", reason=REASON)
NAMES = [f"{shard}.jsonl" for shard in range(4)]


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a Ray with two CPUs: the one that RAY_ADDRESS names, or a new one."""
    new = {"num_cpus": 2, "object_store_memory": 80 * 2**20, "include_dashboard": False}
    ray.init(**({} if os.environ.get("RAY_ADDRESS") else new))
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


@pytest.fixture
def config(tmp_path: Path, cluster: str) -> BulkConfig:
    return BulkConfig("tests.deployment.own_methods:Quarter", tmp_path / "requests", tmp_path / "out", device="cpu",
                      ray=cluster, workers=2)  # fmt: skip


def write_shards(folder: Path, last: str) -> None:
    """Four shards of four images, the last image of all with a phrase of its own."""
    folder.mkdir()
    for shard in range(4):
        phrases = ["a dog", "a dog", "a dog", last if shard == 3 else "a dog"]
        write_tar(folder / f"{shard}.tar", {f"{shard}-{i}": (jpeg(i), phrase) for i, phrase in enumerate(phrases)})


def files(config: BulkConfig) -> dict[str, bytes]:
    return {name: (config.output / name).read_bytes() for name in NAMES}


def alone(config: BulkConfig, tmp_path: Path) -> dict[str, bytes]:
    """What one process answers, which nobody kills."""
    one = replace(config, output=tmp_path / "one", workers=1)
    assert ray_bulk.ground_shards(one).startswith("16 images, 0 of them broken, in 4 new files of 4")
    return files(one)


def test_one_process_or_two_of_which_one_is_killed(config: BulkConfig, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    write_shards(config.requests, f"die {sign}")
    assert ray_bulk.ground_shards(config).startswith("16 images, 0 of them broken, in 4 new files of 4")
    assert sign.exists(), "a process was killed"
    assert sorted(each.name for each in config.output.iterdir()) == [*NAMES, "made_from.json"]
    assert files(config) == alone(config, tmp_path)


def test_a_command_that_is_killed_and_started_again(config: BulkConfig, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    write_shards(config.requests, f"wait {sign}")
    command = [sys.executable, "-m", "grounding.deployment.bulk", "--ray", str(config.ray), "--workers", "2",
               "--method", config.method, "--requests", str(config.requests), "--output", str(config.output),
               "--device", "cpu"]  # fmt: skip
    with subprocess.Popen(command, cwd=ROOT) as driver:
        while driver.poll() is None and sum(each.suffix == ".jsonl" for each in config.output.glob("*")) < 3:
            time.sleep(0.1)
        driver.kill()
    made = {each.name: each.stat().st_mtime_ns for each in config.output.glob("*.jsonl")}
    assert sorted(made) == NAMES[:3], "all that did not wait, and no half"
    sign.touch()
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "4 images, 0 of them broken, in 1 new files of 4" in again.stdout, again.stderr
    assert {name: (config.output / name).stat().st_mtime_ns for name in made} == made, "none was made twice"
    assert files(config) == alone(config, tmp_path)
    assert sorted(each.name for each in config.output.iterdir()) == [*NAMES, "made_from.json"]
