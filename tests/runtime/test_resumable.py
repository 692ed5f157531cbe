"""A file made block by block: every block once and in order, however often it is killed, and never of two origins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from grounding.runtime.errors import InputError
from grounding.runtime.resumable import ResumableFile

BLOCKS = [range(2), range(2, 4), range(4, 6), range(6, 8), range(8, 9)]
WHOLE = "".join(f"{block}a\n{block}é\n" for block in BLOCKS)


def resumable(path: Path, made_from: dict | None = None, *, replace: bool = False) -> ResumableFile:
    return ResumableFile(path, made_from or {"weights": "old", "size": 1}, items=9, block=2, replace=replace)


class Killed(Exception):
    """What ends the work."""


def fill(file: ResumableFile, *, blocks: int = len(BLOCKS)) -> None:
    """Makes so many blocks, all of them or until a kill."""

    def made() -> Iterator[list[str]]:
        for number, block in enumerate(file.unfinished()):
            if number == blocks:
                raise Killed
            yield [f"{block}a", f"{block}é"]

    with suppress(Killed):
        file.fill(made())


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.jsonl"


@pytest.mark.parametrize("kept", [None, 0, 9, -1])
def test_what_is_finished_is_kept_and_a_torn_line_dropped(path: Path, kept: int | None) -> None:
    fill(resumable(path), blocks=2)
    blocks = path.with_suffix(".unfinished")
    if kept is not None:
        content = blocks.read_bytes()
        begins = content.rindex(b"\n", 0, -1) + 1
        blocks.write_bytes(content[: begins + kept] if kept >= 0 else content[:-2])
    file = resumable(path)
    assert file.unfinished() == (BLOCKS[2:] if kept is None else BLOCKS[1:])
    assert not file.is_complete and not path.exists()
    fill(file)
    assert path.read_text(encoding="utf-8") == WHOLE and resumable(path).is_complete
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.json", "a.jsonl"]


def test_another_origin_is_refused_or_replaced(path: Path) -> None:
    new = {"weights": "new", "size": 1}
    fill(resumable(path), blocks=1)
    with pytest.raises(InputError, match=r"a\.jsonl was made from something else \(weights in a\.json\)"):
        resumable(path, new)
    fill(resumable(path), blocks=1)
    path.write_text(WHOLE)
    assert resumable(path, new, replace=True).unfinished() == BLOCKS and not path.exists()


@pytest.mark.parametrize("note", [None, "[]", "nonsense"])
def test_a_file_of_unknown_origin_is_refused(path: Path, note: str | None) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    if note is not None:
        path.with_suffix(".json").write_text(note)
    with pytest.raises(InputError, match=r"a\.json does not say what it was made from"):
        resumable(path)
    assert path.read_text() == "mine"


def test_blocks_that_a_killed_process_did_not_remove_go(path: Path) -> None:
    fill(resumable(path), blocks=1)
    path.write_text(WHOLE)
    assert resumable(path).is_complete and not path.with_suffix(".unfinished").exists()
