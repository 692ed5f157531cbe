"""What the answers of a method of one's own depend on, as far as that can be known: its code and its settings."""

from __future__ import annotations

import hashlib
import marshal
import os
import pickle
import sys
import sysconfig
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch

from grounding.errors import InputError
from grounding.methods.own import OwnGrounder
from grounding.runtime.files import sha256_of

PLAIN = (str, int, float, bool, type(None))
LIBRARY = __package__.partition(".")[0]  # `registry.code_identity` knows its code
INSTALLED = {Path(path).resolve() for path in sysconfig.get_paths().values()}


def identity_of(grounder: OwnGrounder) -> dict[str, Any]:
    """What a comparison notes of a method, so that it is asked again once any of it has changed.

    Raises:
        InputError: an attribute holds what cannot be looked at, such as a tensor without values.

    Returns:
        "method", its class; "code", the SHA-256 of its package and of every module that is loaded and not installed;
        and "attributes", of the object and its class: numbers and texts as they are, and of all else the SHA-256 of
        what can be seen of it (arrays, networks, files that a text names, objects with their attributes). What
        libraries hold where Python does not see it is not in it.
    """
    method, kind = grounder.method, type(grounder.method)
    of_class = {
        name: value
        for each in reversed(kind.__mro__)
        if not _is_known(each.__module__)
        for name, value in vars(each).items()
        if not name.startswith("__") and not hasattr(value, "__get__")
    }
    attributes = {}
    for name, value in sorted((of_class | _attributes(method)).items()):
        try:
            attributes[name] = _shown(value)
        except (NotImplementedError, RecursionError) as error:
            raise InputError(f"{grounder.origin}, attribute {name!r}, cannot be compared with that of another run "
                             f"({error}): hold something else in it") from error  # fmt: skip
    return {"method": grounder.origin, "code": _code(kind), "attributes": attributes}


def _attributes(value: Any) -> dict[str, Any]:
    """By name; in __slots__ and in __dict__."""
    slots = [name for kind in type(value).__mro__ for name in np.atleast_1d(vars(kind).get("__slots__", ())).tolist()]
    return {name: getattr(value, name) for name in slots if hasattr(value, name)} | getattr(value, "__dict__", {})


def _is_known(module: str) -> bool:
    """Whether a module is this library's or installed: it has not been changed by who runs a comparison."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if module.partition(".")[0] in (LIBRARY, "builtins"):
        return True
    return file is not None and not INSTALLED.isdisjoint(Path(file).resolve().parents)


def _code(kind: type) -> str:
    digest, top = hashlib.sha256(), kind.__module__.partition(".")[0]
    files = {
        Path(file)
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and (name.partition(".")[0] == top or not (_is_known(name) or name in ("__main__", "__mp_main__")))
    }
    for path in sorted(path for path in files if path.suffix == ".py" and path.is_file()):
        digest.update(path.read_bytes())
    for each in kind.__mro__:
        if each is not object and getattr(sys.modules.get(each.__module__), "__file__", None) is None:  # of a notebook
            for member in vars(each).values():
                digest.update(_code_of(member))
    return digest.hexdigest()


def _code_of(function: Any) -> bytes:
    """Of a function, in marshal's form that is the same in every process; of anything else nothing."""
    return marshal.dumps(function.__code__, 2) if hasattr(function, "__code__") else b""


def _shown(value: Any) -> Any:
    file = _named_file(value)
    if isinstance(value, PLAIN) and file is None:
        return value
    digest = hashlib.sha256()
    _feed(digest, value, {})
    return {"sha256": digest.hexdigest()} | ({"file": str(file)} if file is not None else {})


def _feed(digest: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    """All that can be seen of a value, into a digest; `seen` counts and holds what was met before, by id."""
    if not isinstance(value, PLAIN):
        if id(value) in seen:
            digest.update(f"the same as {seen[id(value)][0]};".encode())
            return
        seen[id(value)] = len(seen), value
    digest.update(f"{type(value).__module__}.{type(value).__qualname__}(".encode())
    if isinstance(value, PLAIN):
        digest.update(repr(value).encode("utf-8", "backslashreplace"))
    elif isinstance(value, torch.Tensor):
        digest.update(f"{value.dtype} {tuple(value.shape)} ".encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
    elif isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"{value.dtype} {value.shape} ".encode() + value.tobytes())
    elif isinstance(value, Mapping):
        _feed_all(digest, (part for pair in value.items() for part in pair), seen)
    elif isinstance(value, set | frozenset):
        _feed_all(digest, sorted(value, key=repr), seen)
    elif isinstance(value, list | tuple):
        _feed_all(digest, value, seen)
    elif isinstance(value, type | ModuleType):
        digest.update(f"{getattr(value, '__module__', '')} {value.__name__}".encode())
    elif hasattr(value, "__code__"):  # a function or a method, with what it holds
        digest.update(_code_of(value))
        cells = [each.cell_contents for each in value.__closure__ or ()]
        _feed_all(digest, (value.__defaults__, cells, getattr(value, "__self__", None)), seen)
    elif _attributes(value):
        _feed_all(digest, (part for pair in _attributes(value).items() for part in pair), seen)
    else:
        with suppress(Exception):  # of what cannot be pickled there is its class alone
            digest.update(pickle.dumps(value))
    file = _named_file(value)
    digest.update(b");" if file is None else f" {sha256_of(file)});".encode())


def _feed_all(digest: Any, values: Iterable[Any], seen: dict[int, tuple[int, Any]]) -> None:
    for value in values:
        _feed(digest, value, seen)


def _named_file(value: Any) -> Path | None:
    """The file that a text or a path names, such as weights; None where it names none."""
    if not isinstance(value, str | os.PathLike):
        return None
    with suppress(OSError, ValueError, TypeError):  # a text that is too long or has a zero in it
        path = Path(os.fsdecode(value))
        return path if path.is_file() else None
    return None
