"""Pickles of plain data, read without the power to run code."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NoReturn

from grounding.errors import InputError


def load_plain_pickle(path: str | os.PathLike[str]) -> Any:
    """The value in a pickle of builtin containers, strings, bytes, numbers, booleans and None.

    Nothing can be imported or called, so an untrusted file cannot run code. The official refs files need no more:
    they hold lists, dicts, strings and numbers only. Byte strings of Python 2 become str: as UTF-8 where all of
    the file's are, else as Latin-1.

    Raises:
        InputError: the file cannot be opened, is not a whole pickle, or asks for any global (class or function).
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"{path} cannot be opened ({problem.strerror}): check the path and its permissions") from None
    try:
        try:
            return _PlainUnpickler(io.BytesIO(data), "utf-8", path).load()
        except UnicodeDecodeError:
            return _PlainUnpickler(io.BytesIO(data), "latin-1", path).load()
    except InputError:
        raise
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

    def __init__(self, file: BinaryIO, encoding: str, path: Path) -> None:
        super().__init__(file, encoding=encoding)
        self._path = path

    def find_class(self, module: str, name: str) -> NoReturn:
        raise InputError(
            f"{self._path} asks for {module}.{name}, which a file of plain data never does, and could run code: "
            "do not use it, get the file again from its source"
        )
