"""Shards of requests of every kind, grounded one by one: what Ray's processes do, without Ray."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from grounding import InputError
from grounding.deployment.bulk import BulkConfig, ground_file
from tests.tar_files import jpeg, write_tar

REASON = "needs pip install -r requirements-ray.txt"
pytest.importorskip("webdataset", reason=REASON)
pyarrow = pytest.importorskip("pyarrow", reason=REASON)
ray_bulk = pytest.importorskip("grounding.deployment.ray_bulk", reason=REASON)

QUARTER = "tests.deployment.own_methods:Quarter"
ASKED = {f"{number}.jpg": [f"thing {number}", "a dög"] for number in range(5)}


@pytest.fixture
def config(tmp_path: Path) -> BulkConfig:
    """Five photographs in `requests/photos`, and files that ask of them, one of each kind."""
    folder = tmp_path / "requests"
    (folder / "photos").mkdir(parents=True)
    for number, name in enumerate(ASKED):
        (folder / "photos" / name).write_bytes(jpeg(number))
    rows = [{"image": f"photos/{name}", "phrases": phrases} for name, phrases in ASKED.items()]
    (folder / "lines.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "table.csv").write_text("image,phrase\n" + "".join(
        f"photos/{name},{phrases[turn]}\n" for turn in range(2) for name, phrases in ASKED.items()))  # fmt: skip
    write_parquet(folder / "paths.parquet", rows)
    contents = [{"image": jpeg(number), "phrases": phrases, "key": f"photos/{name}"}
                for number, (name, phrases) in enumerate(ASKED.items())]  # fmt: skip
    write_parquet(folder / "contents.parquet", contents)
    write_tar(folder / "tar.tar", {f"photos/{number}": (jpeg(number), "\n".join(phrases))
                                   for number, phrases in enumerate(ASKED.values())})  # fmt: skip
    return BulkConfig(QUARTER, folder, tmp_path / "out", device="cpu", block=2, ray="local")


def write_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)


def ground(config: BulkConfig) -> dict[str, list[dict[str, Any]]]:
    """All shards by one process, and what it wrote."""
    process, out = ray_bulk.ShardGrounder(config), ray_bulk.place_of(config.output)
    for name, shard in ray_bulk.find_shards(ray_bulk.place_of(config.requests)).items():
        [error] = process({"shard": [shard.path], "answers": [f"{out.path}/{name}.jsonl"]})["error"]
        if error:
            raise InputError(error)
    lines = {Path(each.path).stem: out._replace(path=each.path).read().splitlines() for each in out.files()}
    return {name: [*map(json.loads, of_shard)] for name, of_shard in lines.items()}


def test_each_kind_of_shard_has_the_answers_of_one_machine(config: BulkConfig, tmp_path: Path) -> None:
    alone = replace(config, requests=config.requests / "lines.jsonl", output=tmp_path / "alone.jsonl", ray=None)
    ground_file(alone)
    expected = [json.loads(line) for line in alone.output.read_text().splitlines()]
    found = ground(config)
    assert set(found) == {"lines", "table", "paths", "contents", "tar"}
    without_keys = [{**row, "key": ""} for row in expected]
    for name, rows in found.items():
        assert [{**row, "key": ""} for row in rows] == without_keys, name
        assert [row["key"].removesuffix(".jpg") for row in rows] == [f"photos/{number}" for number in range(5)], name
    assert found["lines"] == expected
    write_parquet(config.requests / "contents.parquet", [{"image": jpeg(0), "phrases": ["a"]}])
    assert [row["key"] for row in ground(config)["contents"]] == [f"{config.requests}/contents.parquet, row 1"]
    assert not list(config.output.glob("*.part"))


def test_what_is_broken_is_a_row_with_its_error(config: BulkConfig) -> None:
    (config.requests / "photos" / "1.jpg").write_bytes(b"no image")
    (config.requests / "photos" / "2.jpg").unlink()
    lines = (config.requests / "lines.jsonl").read_text().splitlines()
    (config.requests / "lines.jsonl").write_text("\n".join([*lines[:3], "nonsense", '{"image": 5}', lines[4]]))
    write_tar(config.requests / "tar.tar", {"a": (b"", "a dog"), "b": (jpeg(1), ""), "c": (jpeg(1), b"\xff"),
                                            "d": (jpeg(1), "a dog")})  # fmt: skip
    found = ground(config)
    said = ["", "1.jpg cannot be read", "there is no image file", "lines.jsonl, row 4, cannot be used",
            "lines.jsonl, row 5, cannot be used", ""]  # fmt: skip
    for name, messages in (("lines", said), ("tar", ["empty", "row 2, cannot be used", "no UTF-8 text", ""])):
        for row, message in zip(found[name], messages, strict=True):
            assert message in row.get("error", "") and ("answers" in row) == (message == "")


def test_started_again_it_makes_what_is_missing_or_older_than_its_shard(config, monkeypatch) -> None:
    def alone(config: BulkConfig, shards: list[dict[str, str]]) -> Iterator[dict[str, Any]]:
        """What Ray's processes say, of one."""
        process = ray_bulk.ShardGrounder(config)
        for shard in shards:
            said = process({name: [value] for name, value in shard.items()})
            yield {name: value for name, [value] in said.items()}

    def files() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in config.output.iterdir()}

    monkeypatch.setattr(ray_bulk, "_results", alone)
    assert ray_bulk.ground_shards(config) == f"25 images, 0 of them broken, in 5 new files of 5 in {config.output}"
    first = files()
    assert len(first) == 6 and "made_from.json" in first
    kept = (config.output / "lines.jsonl").stat().st_mtime_ns
    (config.output / "table.jsonl").unlink()
    (config.output / "table.jsonl.ab.part").write_text("of a killed process")
    (config.requests / "tar.tar").touch()
    assert ray_bulk.ground_shards(config).startswith("10 images, 0 of them broken, in 2 new files of 5")
    assert files() == first and (config.output / "lines.jsonl").stat().st_mtime_ns == kept
    assert ray_bulk.ground_shards(config).startswith("0 images, 0 of them broken, in 0 new files of 5")

    with pytest.raises(InputError, match=r"made from something else \(precision in made_from\.json\)"):
        ray_bulk.ground_shards(replace(config, precision="float32"))
    tar = config.requests / "tar.tar"
    tar.write_bytes(tar.read_bytes()[:1500])
    (config.output / "lines.jsonl").unlink()
    with pytest.raises(InputError, match=r"1 of 5 shards could not be grounded, the first since .*tar\.tar cannot be"):
        ray_bulk.ground_shards(config)
    assert files() == first, "the others are done"


def test_places_that_cannot_be_used_are_named(config: BulkConfig, tmp_path: Path) -> None:
    (config.requests / "lines.parquet").write_bytes(b"")
    for place, message in ((config.requests, "the same answers"), (tmp_path / "no", "no file at")):
        with pytest.raises(InputError, match=message):
            ray_bulk.find_shards(ray_bulk.place_of(place))
    with pytest.raises(InputError, match=r"ftp://host/folder cannot be used"):
        ray_bulk.place_of(Path("ftp://host/folder"))


def test_from_s3_to_s3(config: BulkConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto.server", reason="needs pip install moto[server]")
    from pyarrow.fs import S3FileSystem, copy_files

    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        address = "{}:{}".format(*server.get_host_and_port())
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "anyone")
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        remote = S3FileSystem(endpoint_override=address, scheme="http", allow_bucket_creation=True)
        remote.create_dir("bucket")
        copy_files(str(config.requests), "bucket/requests", destination_filesystem=remote)
        local, options = ground(config), f"endpoint_override={address}&scheme=http&region=us-east-1"
        place = Path(f"s3://bucket/requests?{options}")
        assert ground(replace(config, requests=place, output=Path(f"s3://bucket/out?{options}"))) == local
        remote.delete_file("bucket/requests/photos/2.jpg")
        again = ground(replace(config, requests=place, output=Path(f"s3://bucket/again?{options}")))
        assert "photos/2.jpg cannot be read" in again["lines"][2]["error"] and again["lines"][3:] == local["lines"][3:]
    finally:
        server.stop()
