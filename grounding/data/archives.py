"""Archives from the internet, unpacked into one folder and nowhere else."""

from __future__ import annotations

import errno
import tarfile
import zipfile
from collections.abc import Container, Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any

from tqdm import tqdm

from grounding.errors import InputError

CHUNK_BYTES = 64 * 1024
# Annotations are packed to a tenth, photographs hardly; what is made to fill a disk, to a thousandth and less.
MOST_TIMES = 100
ALWAYS_TAKEN = 2**26  # bytes, whatever the archive's size

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


def unpack(archive: Path, folder: Path, only: Container[str] | None = None) -> None:
    """Unpack the plain files of a zip or a tar archive, compressed or not, whatever its name ends with.

    The folder must not exist, so that nothing in it can lead elsewhere; where it raises, files may have been written
    in it and nowhere else. Links and devices are left out, and all but the files called as in `only`, where given.

    Raises:
        InputError: the archive is damaged, or not a zip or tar archive; a file has an absolute path or "..", or it
            would unpack to more than `MOST_TIMES` its size and `ALWAYS_TAKEN`.
        OSError: a file cannot be read or written.
    """
    folder.mkdir(parents=True)
    room = max(MOST_TIMES * archive.stat().st_size, ALWAYS_TAKEN)

    def chosen(files: Iterable[tuple[str, int, Any]]) -> Iterator[Any]:
        """The members to unpack, of (name, bytes, member), each checked just before it is unpacked."""
        nonlocal room
        for name, size, member in tqdm(files, f"unpacking {archive.name}", delay=1):
            place = PureWindowsPath(name)  # the strictest reading: both slashes separate, and drives count
            if place.anchor or ".." in place.parts:
                raise ValueError(f"{name!r} would lie outside its folder")
            if only is None or place.name in only:
                room -= size
                if room < 0:
                    raise ValueError(f"it unpacks to more than {MOST_TIMES} times its own size")
                yield member

    try:
        if not tarfile.is_tarfile(archive):
            with zipfile.ZipFile(archive) as zipped:  # which reads no more of a member than the size given for it
                infos = (info for info in zipped.infolist() if not info.is_dir())
                zipped.extractall(folder, chosen((info.filename, info.file_size, info) for info in infos))
            return
        with tarfile.open(archive) as tar:
            tar.extraction_filter = getattr(tarfile, "data_filter", None)
            tar.extractall(folder, chosen((member.name, member.size, member) for member in tar if member.isreg()))
            # tarfile stops at its own end mark; the checksum of gzip and xz comes after it and is compared there.
            while tar.fileobj is not None and tar.fileobj.read(CHUNK_BYTES):
                pass
    except Exception as problem:  # damaged data may raise any, of zipfile, tarfile and the decompressors
        if isinstance(problem, OSError) and problem.errno in OF_THE_DISK:
            raise
        raise InputError(
            f"{archive} cannot be unpacked ({problem}): it is damaged, no zip or tar archive, or made to do harm; "
            "delete it and run the same command again, or get it elsewhere"
        ) from problem
