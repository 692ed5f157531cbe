"""Shards of requests for bulk grounding, wherever they lie: JSON Lines, CSV, Parquet, tar files, folders of images."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast
from urllib.parse import urlsplit

import pandas
import pyarrow.parquet
from pyarrow.fs import FileInfo, FileSelector, FileSystem, LocalFileSystem

from grounding.data.images import SUFFIXES, ImageLike
from grounding.data.tar_samples import TarSample, read_tar
from grounding.deployment.requests import asked_by, request_lines
from grounding.errors import InputError
from grounding.methods.stream import Request

KINDS = (".jsonl", ".csv", ".parquet", ".tar")
ROWS = 64  # of a Parquet file that are in memory at once


class Place(NamedTuple):
    """A file or folder, and the file system that it lies in."""

    system: FileSystem
    path: str

    def listed(self) -> list[FileInfo]:
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

    def image(self, name: str) -> ImageLike:
        """What `as_image` reads later, of an image in this folder, or wherever its name says."""
        elsewhere = "://" in name or posixpath.isabs(name)
        found = place_of(name) if elsewhere else Place(self.system, posixpath.join(self.path, name))
        return Path(found.path) if isinstance(found.system, LocalFileSystem) else cast(BinaryIO, found)


class Unreadable(NamedTuple):
    """Stands for the image of what is no request."""

    error: InputError

    def read(self) -> bytes:
        """Raises: InputError: always, in place of reading."""
        raise self.error


def place_of(name: str | Path) -> Place:
    """A path of this machine, or what s3:// or gs:// names; options of pyarrow's, such as a server, follow a "?".

    Raises:
        InputError: there is no such kind of place.
    """
    if isinstance(name, Path):
        name = str(name).replace(":/", "://", 1)  # pathlib leaves one of the two slashes
    if "://" not in name:
        return Place(LocalFileSystem(), str(Path(name).absolute()))
    parts = urlsplit(name)
    return Place(_system(parts._replace(path="").geturl()), parts.netloc + parts.path.rstrip("/"))


@cache
def _system(bucket: str) -> FileSystem:
    try:
        return FileSystem.from_uri(bucket)[0]
    except (OSError, ValueError) as error:
        raise InputError(f"{bucket} cannot be used ({error}): give a path, s3:// or gs://") from error


def find_shards(requests: Place, *, images: bool) -> dict[str, tuple[str, int]]:
    """Name of its answers -> path of each shard, and when it was changed, in nanoseconds.

    Args:
        requests: a shard, or a folder that has some.
        images: whether folders of images are shards too.

    Raises:
        InputError: there is none, or two whose answers would be called alike.
        OSError: the place cannot be reached.
    """
    changed: dict[str, int] = {}
    for each in requests.listed():
        ending = posixpath.splitext(each.path)[1].lower()
        if ending in KINDS or (images and ending in SUFFIXES):
            path = each.path if ending in KINDS else posixpath.dirname(each.path)
            changed[path] = max(changed.get(path, 0), each.mtime_ns or 0)
    shards: dict[str, tuple[str, int]] = {}
    for path, when in changed.items():
        name = posixpath.relpath(path, requests.path) if path != requests.path else posixpath.basename(path)
        name = posixpath.splitext(name)[0] if name.lower().endswith(KINDS) else name
        if name in shards:
            raise InputError(f"{path} and {shards[name][0]} would have the same file of answers: rename one")
        shards[name] = path, when
    if not shards:
        raise InputError(f"no file at {requests.path} ends in {', '.join(KINDS)}: correct the place, or for folders of "
                         "images give --phrases too")  # fmt: skip
    return shards


def read_shard(shard: Place, phrases: Sequence[str]) -> Iterator[Request]:
    """The requests of a shard, in its order; what is none has an `Unreadable` as its image.

    Args:
        shard: of `find_shards`.
        phrases: what is asked of images that come without.

    Raises:
        InputError: the file as a whole cannot be read.
        OSError, ValueError: likewise, as pyarrow and pandas say it.
    """
    folder = Place(shard.system, posixpath.dirname(shard.path))
    for number, record in enumerate(_records(shard), start=1):
        where, image = f"{shard.path}, row {number}", None
        try:
            if isinstance(record, TarSample):
                image, record = record.image, {"image": record.key, "phrases": record.phrases()}
            elif isinstance(record, dict) and isinstance(record.get("image"), bytes):
                image, record = record["image"], {**record, "image": where}
            asked = asked_by(record, where, phrases)
            key = asked.image if asked.key is None else asked.key
            yield Request(key, folder.image(asked.image) if image is None else image, asked.phrases)
        except InputError as error:
            yield Request(where, cast(BinaryIO, Unreadable(error)), phrases)


def _records(shard: Place) -> Iterator[Any]:
    """Samples of a tar file, and of other shards what `asked_by` takes."""
    ending = posixpath.splitext(shard.path)[1].lower()
    if ending not in KINDS:
        paths = sorted(each.path for each in shard.listed() if posixpath.dirname(each.path) == shard.path)
        parent = posixpath.dirname(shard.path)
        yield from (
            {"image": posixpath.relpath(path, parent)}
            for path in paths
            if posixpath.splitext(path)[1].lower() in SUFFIXES
        )
        return
    with shard.system.open_input_file(shard.path) as file:
        if ending == ".tar":
            yield from read_tar(file, shard.path)
        elif ending == ".jsonl":
            yield from (line for _, line in request_lines(Path(shard.path), file.read()))
        elif ending == ".csv":
            table = pandas.read_csv(file, dtype=str, keep_default_na=False)
            for image, rows in table.groupby("image", sort=False):
                yield {"image": image, "phrases": [*filter(None, rows.get("phrase", ()))]}
        else:
            for batch in pyarrow.parquet.ParquetFile(file).iter_batches(batch_size=ROWS):
                yield from batch.to_pylist()
