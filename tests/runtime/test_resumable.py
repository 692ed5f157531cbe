"""A file made block by block: every block once and in order, however often it is killed, and never of two origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.runtime.errors import InputError
from grounding.runtime.resumable import ResumableFile

BLOCKS = 5
WHOLE = "".join(f"{block}a\n{block}é\n" for block in range(BLOCKS))


def resumable(path: Path, made_from: dict | None = None, *, replace: bool = False) -> ResumableFile:
    return ResumableFile(path, made_from or {"weights": "old", "size": 1}, blocks=BLOCKS, replace=replace)


def append(file: ResumableFile, count: int) -> None:
    for block in file.unfinished()[:count]:
        file.append([f"{block}a", f"{block}é"])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.jsonl"


@pytest.mark.parametrize("kept", [None, 0, 9, -1])
def test_what_is_finished_is_kept_and_a_torn_line_dropped(path: Path, kept: int | None) -> None:
    append(resumable(path), 2)
    blocks = path.with_suffix(".unfinished")
    if kept is not None:
        content = blocks.read_bytes()
        begins = content.rindex(b"\n", 0, -1) + 1
        blocks.write_bytes(content[: begins + kept] if kept >= 0 else content[:-2])
    file = resumable(path)
    assert [*file.unfinished()] == ([2, 3, 4] if kept is None else [1, 2, 3, 4])
    append(file, BLOCKS)
    assert not file.is_complete and not path.exists()
    file.finish()
    assert path.read_text(encoding="utf-8") == WHOLE and resumable(path).is_complete
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.json", "a.jsonl"]


def test_another_origin_is_refused_or_replaced(path: Path) -> None:
    new = {"weights": "new", "size": 1}
    append(resumable(path), 1)
    with pytest.raises(InputError, match=r"a\.jsonl was made from something else \(weights in a\.json\)"):
        resumable(path, new)
    append(resumable(path), 1)
    path.write_text(WHOLE)
    assert len(resumable(path, new, replace=True).unfinished()) == BLOCKS and not path.exists()


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
    append(resumable(path), 1)
    path.write_text(WHOLE)
    assert resumable(path).is_complete and not path.with_suffix(".unfinished").exists()
