"""Bulk grounding by Ray's processes: the same files whatever their number, and whoever is killed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from grounding import InputError
from grounding.deployment.bulk import BulkConfig
from tests.tar_files import jpeg, write_tar

REASON = "needs pip install -r requirements-ray.txt"
ray = pytest.importorskip("ray", reason=REASON)
pytest.importorskip("webdataset", reason=REASON)
METHODS = "tests.deployment.own_methods"


@pytest.fixture(scope="module")
def sign(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small Ray on this machine, whose processes are told of the sign."""
    path = tmp_path_factory.mktemp("sign") / "sign"
    ray.init(num_cpus=2, object_store_memory=80 * 2**20, include_dashboard=False,
             runtime_env={"env_vars": {"SIGN_OF_DEATH": str(path)}})  # fmt: skip
    yield path
    ray.shutdown()


def test_one_process_or_two_killed_or_not(tmp_path: Path, sign: Path) -> None:
    from grounding.deployment.ray_bulk import ground_shards

    folder = tmp_path / "requests"
    folder.mkdir()
    for shard in range(4):
        write_tar(folder / f"{shard}.tar", {f"{shard}-{number}": (jpeg(number), "a dog" if number < 3 else "die")
                                            for number in range(4)})  # fmt: skip
    one = BulkConfig(f"{METHODS}:Quarter", folder, tmp_path / "one", device="cpu", ray="local", workers=1)
    assert ground_shards(one).startswith("16 images, 0 of them broken, in 4 new files of 4")
    two = replace(one, method=f"{METHODS}:KilledOnce", output=tmp_path / "two", workers=2)
    assert ground_shards(two).startswith("16 images, 0 of them broken, in 4 new files of 4")
    assert sign.exists(), "a process was killed"
    names = [f"{shard}.jsonl" for shard in range(4)]
    assert sorted(each.name for each in two.output.iterdir()) == [*names, "made_from.json"]
    first = {name: (one.output / name).read_bytes() for name in names}
    assert {name: (two.output / name).read_bytes() for name in names} == first

    with pytest.raises(InputError, match="workers is 3, and the cluster has 2 CPUs"):
        ground_shards(replace(one, output=tmp_path / "three", workers=3))
