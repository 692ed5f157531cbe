"""Files of strangers, read without harm: archives are unpacked into one folder only, and pickles run no code."""

from __future__ import annotations

import errno
import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable, Container, Iterable, Iterator
from pathlib import Path, PureWindowsPath
from typing import Any, ClassVar, NoReturn

from tqdm import tqdm

from grounding.runtime.errors import InputError

CHUNK_BYTES = 64 * 1024
# Annotations are packed to a tenth, photographs hardly; what is made to fill a disk, to a thousandth and less.
MOST_TIMES = 100
ALWAYS_TAKEN = 2**26  # bytes, whatever the archive's size

OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM}


def unpack(archive: Path, folder: Path, only: Container[str] | None = None) -> None:
    """Unpack the plain files of a zip or a tar archive, compressed or not, whatever its name ends with.

    The folder must not exist, so that nothing in it can lead elsewhere; where it raises, files may have been written
    in it and nowhere else. Links and devices are left out, and all but the files called as in `only`, where given.
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


def load_plain_pickle(path: str | os.PathLike[str]) -> Any:
    """The value in a pickle of builtin containers, strings, bytes, numbers, booleans and None.

    Nothing can be imported or called, so an untrusted file cannot run code. The official refs files need no more:
    they hold lists, dicts, strings and numbers only. Byte strings of Python 2 become str: as UTF-8 where all of
    the file's are, else as Latin-1.
    """
    try:
        data = Path(path).read_bytes()
        try:
            return _PlainUnpickler(io.BytesIO(data), encoding="utf-8").load()
        except UnicodeDecodeError:
            return _PlainUnpickler(io.BytesIO(data), encoding="latin-1").load()
    except InputError as error:
        raise InputError(f"{path} {error}") from None
    except Exception as problem:  # the pickle documentation: damaged data may raise any exception
        raise InputError(
            f"{path} is not a whole pickle of plain data ({type(problem).__name__}: {problem}): "
            "get the file again from its source"
        ) from problem


class _PlainUnpickler(pickle._Unpickler):
    """In Python: the one in C makes room for as many values as a file says that it will number, and with five bytes
    it can say 32 GB. This one takes two seconds for a file of RefCOCOg's size, where that in C takes one."""

    # Room for a bytearray is made before its bytes are read; plain data hold none.
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: load for code, load in pickle._Unpickler.dispatch.items() if code != pickle.BYTEARRAY8[0]
    }

    def find_class(self, module: str, name: str) -> NoReturn:
        raise InputError(
            f"asks for {module}.{name}, which a file of plain data never does, and could run code: "
            "do not use it, get the file again from its source"
        )
