"""What methods are called beside each other, in tables and file names: no two alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from grounding.clip.backbone import RESNETS
from grounding.errors import InputError, writable
from grounding.methods.hub_download import PREFIX, is_hub_name
from grounding.methods.names import SHIPPED, TRAINING_FREE, is_answer_file, is_clip
from grounding.methods.own import MethodName, MethodNames, own_method


def method_names(methods: MethodNames, others: Iterable[str] = ()) -> list[str]:
    """A name for each method: its own, or of a run the folder's and of a file of answers its stem.

    Where two would have one name, as many of the folders above come before it as tell them apart: "a-run", "b-run".

    Args:
        methods: what is compared, each once.
        others: names that are given to something else already.

    Raises:
        InputError: a method is named twice, or two have one name.
    """
    endings = [_endings(method) for method in methods]
    # On some disks "A" and "a" are one file.
    fixed = Counter(name.casefold() for name in (*others, *(each[0] for each in endings if len(each) == 1)))
    known = fixed + Counter(ending.casefold() for each in endings if len(each) > 1 for ending in each)
    names = []
    for each in endings:
        counts = fixed if len(each) == 1 else known
        name = next((ending for ending in each if counts[ending.casefold()] == 1), None)
        if name is None:
            raise InputError(f"two methods would both be called {each[0]!r}: name each once, and give each method of "
                             "your own another name")  # fmt: skip
        names.append(name)
    return names


def method_places(names: Sequence[str], methods: MethodNames) -> list[list[str | Path]]:
    """[name, place] of each method: the folder or file where it lies, the class of one's own, or the name again."""
    return [[name, _place(method)] for name, method in zip(names, methods, strict=True)]


def _place(method: MethodName) -> str | Path:
    own = own_method(method)
    if own is not None:
        return own.origin
    name = str(method)
    return Path(name) if Path(name).exists() and name not in (*TRAINING_FREE, *RESNETS) else name


def _endings(method: MethodName) -> list[str]:
    """Names that a method may have, the shortest first, each once."""
    own = own_method(method)
    if own is not None:
        return [own.name]
    name = str(method)
    if name in (*TRAINING_FREE, *SHIPPED, *RESNETS):
        return [name]
    if is_hub_name(name):
        repo, _, revision = name.removeprefix(PREFIX).partition("@")
        whole = repo.replace("/", "-")
        return [repo.rpartition("/")[2], whole, f"{whole}-{(revision or 'main').replace('/', '-')}"]
    path = Path(name).resolve()
    parts = [*path.parent.parts[1:], path.stem if is_answer_file(name) or is_clip(name) else path.name]
    return [writable("-".join(parts[-count:])) for count in range(1, len(parts) + 1)]
