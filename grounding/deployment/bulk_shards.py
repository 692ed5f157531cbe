"""Shards of requests for bulk grounding, wherever they lie: JSON Lines, CSV, Parquet, tar files."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import pandas
import pyarrow.parquet
from pyarrow.fs import FileInfo, FileSelector, FileSystem, LocalFileSystem

from grounding.data.images import ImageLike
from grounding.data.tar_samples import TarSample, read_tar
from grounding.deployment.bulk import asked_by, request_lines
from grounding.errors import InputError
from grounding.methods.stream import Request

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
        """The file's content.

        Raises:
            InputError: it cannot be read.
        """
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
    """A path of this machine, or what s3:// or gs:// names; options of pyarrow's, such as a server, follow a "?".

    Raises:
        InputError: there is no such kind of place.
    """
    uri = str(name).replace(":/", "://", 1)  # pathlib leaves one of the two slashes
    try:
        return Place(*FileSystem.from_uri(uri if "://" in uri else name.absolute()))
    except (OSError, ValueError) as error:
        raise InputError(f"{uri} cannot be used ({error}): give a path, s3:// or gs://") from error


def find_shards(requests: Place) -> dict[str, FileInfo]:
    """Name of its answers -> each shard: the one that this is, or those in the folder.

    Raises:
        InputError: there is none, or two whose answers would be called alike.
        OSError: the place cannot be reached.
    """
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
    """The requests of a shard, in its order; what is none has an `Unreadable` as its image.

    Raises:
        InputError: the file as a whole cannot be read; an OSError or ValueError of pyarrow or pandas likewise.
    """
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
