"""Bulk grounding by many processes of a Ray cluster: each takes a shard of requests and writes its file of answers.

A shard is a file of JSON Lines, CSV, Parquet or tar, wherever it lies. One whose process is killed goes to another one,
and another start leaves out what is there: how many processes there are, and how often they end, changes no line.
"""

from __future__ import annotations

import json
import posixpath
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import pandas
import pyarrow.parquet
import ray
import ray.data
from pyarrow import ArrowException
from pyarrow.fs import FileInfo, FileSelector, FileSystem, LocalFileSystem
from ray.exceptions import RayError
from tqdm import tqdm

from grounding.data.images import ImageLike
from grounding.data.tar_samples import TarSample, read_tar
from grounding.deployment.bulk import BulkConfig, asked_by, grounder_of, record_of, request_lines
from grounding.methods.stream import Request, ground_many
from grounding.runtime.errors import InputError
from grounding.runtime.resumable import difference

NOTE = "made_from.json"
KINDS = (".jsonl", ".csv", ".parquet", ".tar")
PART = ".part"  # how files end that are not whole


class Place(NamedTuple):
    """A file or folder, and the file system that it lies in."""

    system: FileSystem
    path: str

    def files(self) -> list[FileInfo]:
        """The file itself, or the files in the folder, however deep; none where there is neither."""
        found = self.system.get_file_info(self.path)
        inside = FileSelector(self.path, recursive=True, allow_not_found=True)
        return [found] if found.is_file else [each for each in self.system.get_file_info(inside) if each.is_file]

    def read(self) -> bytes:
        """The file's content."""
        try:
            with self.system.open_input_stream(self.path) as file:
                return bytes(file.read())
        except OSError as error:
            raise InputError(f"{self.path} cannot be read ({error}): check the place and your rights") from error

    def write(self, text: str) -> None:
        """A file that is there as a whole or not at all, whoever else writes the same one."""
        part = f"{self.path}.{uuid.uuid4().hex}{PART}"
        self.system.create_dir(posixpath.dirname(self.path), recursive=True)
        with self.system.open_output_stream(part) as file:
            file.write(text.encode())
        self.system.move(part, self.path)


class Unreadable(NamedTuple):
    """Stands for the image of what is no request: the error comes when it is read."""

    error: InputError

    def read(self) -> bytes:
        raise self.error


def place_of(name: Path) -> Place:
    """A path of this machine, or what s3:// or gs:// names; options of pyarrow's, such as a server, follow a "?"."""
    uri = str(name).replace(":/", "://", 1)  # pathlib leaves one of the two slashes
    try:
        return Place(*FileSystem.from_uri(uri if "://" in uri else name.absolute()))
    except (OSError, ValueError) as error:
        raise InputError(f"{uri} cannot be used ({error}): give a path, s3:// or gs://") from error


def find_shards(requests: Place) -> dict[str, FileInfo]:
    """Name of its answers -> each shard: the one that this is, or those in the folder; an OSError elsewhere."""
    shards: dict[str, FileInfo] = {}
    for each in requests.files():
        if each.path.lower().endswith(KINDS):
            stem = posixpath.splitext(each.path)[0]
            name = posixpath.basename(stem) if each.path == requests.path else posixpath.relpath(stem, requests.path)
            if name in shards:
                raise InputError(f"{each.path} and {shards[name].path} would have the same answers: rename one")
            shards[name] = each
    if not shards:
        raise InputError(f"no file at {requests.path} ends in {', '.join(KINDS)}: correct the place")
    return shards


def read_shard(shard: Place) -> Iterator[Request]:
    """The requests of a shard, in its order; what is none has an `Unreadable` as its image. Of a file that cannot be
    read at all comes InputError, or what pyarrow and pandas raise."""
    folder = posixpath.dirname(shard.path)
    for number, record in enumerate(_records(shard), start=1):
        where = f"{shard.path}, row {number}"
        image: ImageLike | None = None
        try:
            if isinstance(record, TarSample):
                image, record = record.image, {"image": record.key, "phrases": record.phrases()}
            elif isinstance(record, dict) and isinstance(record.get("image"), bytes):
                image, record = record["image"], {**record, "image": where}
            asked = asked_by(record, where)
            if image is None:
                file = shard._replace(path=posixpath.join(folder, asked.image))
                image = Path(file.path) if isinstance(file.system, LocalFileSystem) else cast(BinaryIO, file)
            yield Request(asked.image if asked.key is None else asked.key, image, asked.phrases)
        except InputError as error:
            yield Request(where, cast(BinaryIO, Unreadable(error)), ())


def _records(shard: Place) -> Iterator[Any]:
    """Samples of a tar file, and of other shards what `asked_by` takes."""
    ending = posixpath.splitext(shard.path)[1].lower()
    with shard.system.open_input_file(shard.path) as file:
        if ending == ".tar":
            yield from read_tar(file, shard.path)
        elif ending == ".jsonl":
            yield from (line for _, line in request_lines(Path(shard.path), file.read()))
        elif ending == ".csv":
            table = pandas.read_csv(file, dtype=str, keep_default_na=False, usecols=["image", "phrase"])
            for image, rows in table.groupby("image", sort=False):
                yield {"image": image, "phrases": [*rows.phrase]}
        else:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=64):
                yield from batch.to_pylist()


def ground_shards(config: BulkConfig) -> str:
    """Answer the shards that have no answers yet, or older ones than they are, and return a sentence on what was done;
    of shards that cannot be read, the error comes once all others are done."""
    config = BulkConfig(**vars(config))  # a class of `__main__` would not be the processes'
    answers = place_of(config.output)
    note = answers._replace(path=f"{answers.path}/{NOTE}")
    try:
        shards = find_shards(place_of(config.requests))
        # What the processes compute on is not this one's to say.
        origin = grounder_of(config)[1] | {"device": config.device, "precision": config.precision}
        if not note.files():
            note.write(json.dumps(origin, indent=2, sort_keys=True))
        elif (noted := note.read().decode(errors="replace")) != json.dumps(origin, indent=2, sort_keys=True):
            raise InputError(f"{answers.path} {difference(NOTE, noted, origin)}: give another output")
        there = {each.path: each.mtime_ns or 0 for each in answers.files()}
        left = [{"shard": shard.path, "answers": file} for name, shard in shards.items()
                if there.get(file := f"{answers.path}/{name}.jsonl", -1) < (shard.mtime_ns or 0)]  # fmt: skip
        results = list(tqdm(_results(config, left), total=len(left), desc="grounding", unit="shard"))
        for path in there:
            if path.endswith(PART):  # of a process that was killed
                answers.system.delete_file(path)
    except (OSError, RayError) as error:
        raise InputError(f"the work has ended early ({error}): see that each machine reaches requests and output and "
                         "has the method and the packages; the same command goes on") from error  # fmt: skip
    if failed := [each["error"] for each in results if each["error"]]:
        raise InputError(f"{len(failed)} of {len(shards)} shards could not be grounded, the first since {failed[0]}; "
                         "the same command tries them again")  # fmt: skip
    images, broken = (sum(each[name] for each in results) for name in ("images", "broken"))
    return f"{images} images, {broken} of them broken, in {len(left)} new files of {len(shards)} in {config.output}"


def _results(config: BulkConfig, shards: list[dict[str, str]]) -> Any:
    """What `ShardGrounder` says of each shard, as they are done."""
    if not shards:
        return []
    ray.data.DataContext.get_current().enable_progress_bars = False
    if not ray.is_initialized():
        try:
            ray.init(config.ray, include_dashboard=False if config.ray == "local" else None)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise InputError(f"no Ray cluster answers at {config.ray!r} ({error}): start one by ray start --head, or "
                             "give --ray local") from error  # fmt: skip
    there = ray.cluster_resources()
    needed = "GPU" if there.get("GPU") and config.device != "cpu" else "CPU"
    workers = min(len(shards), int(there[needed]), config.workers or len(shards))
    pool = ray.data.ActorPoolStrategy(size=workers, max_tasks_in_flight_per_actor=1)
    # A core to each, and so one thread: the answers of two kinds of machines are then as near as can be.
    grounded = ray.data.from_items(shards, override_num_blocks=len(shards)).map_batches(
        ShardGrounder, batch_size=1, compute=pool, num_cpus=1, num_gpus=int(needed == "GPU"),
        fn_constructor_args=(config,), max_task_retries=9)  # fmt: skip  # a shard that kills whoever takes it ends all
    return grounded.iter_rows()


class ShardGrounder:
    """A process that holds the method; Ray makes it again where it was killed."""

    def __init__(self, config: BulkConfig) -> None:
        self._config = config
        self._grounder, _ = grounder_of(config)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Answer the shard of paths "shard" and "answers"; "error" is "" where the file was written; lists of one."""
        shard = place_of(self._config.requests)._replace(path=str(batch["shard"][0]))
        if self._grounder.text is not None:
            self._grounder.text.forget()  # what is answered of a shard then depends on no other, to the last bit
        lines, broken = [], 0
        try:
            answers = ground_many(self._grounder, read_shard(shard), readers=self._config.readers, skip_broken=True)
            for answer in answers:
                lines.append(f"{json.dumps(record_of(answer))}\n")
                broken += bool(answer.error)
            place_of(self._config.output)._replace(path=str(batch["answers"][0])).write("".join(lines))
        except (InputError, OSError, ValueError, ArrowException) as error:
            return {"images": [0], "broken": [0], "error": [f"{shard.path}: {error}"]}
        return {"images": [len(lines)], "broken": [broken], "error": [""]}
