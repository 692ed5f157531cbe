"""A file made block by block: every block once and in order, whoever makes it, and never of two origins."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.errors import InputError
from grounding.runtime.shards import ShardedFile

BLOCKS = 5
WHOLE = "".join(f"{block}a\n{block}é\n" for block in range(BLOCKS))


def sharded(path: Path, made_from: dict | None = None, *, replace: bool = False) -> ShardedFile:
    return ShardedFile(path, made_from or {"weights": "old", "size": 1}, blocks=BLOCKS, replace=replace)


def append(file: ShardedFile, *blocks: int, process: int = 0) -> None:
    for block in blocks:
        file.append(block, [f"{block}a", f"{block}é"], process=process)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.jsonl"


@pytest.mark.parametrize("processes", [1, 3, 7])
def test_every_block_is_there_once_and_in_order(path: Path, processes: int) -> None:
    for process in reversed(range(processes)):
        file = sharded(path)
        append(file, *file.unfinished(process, processes), process=process)
    assert not file.is_complete and not path.exists()
    file.finish()
    assert path.read_text(encoding="utf-8") == WHOLE and sharded(path).is_complete
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.json", "a.jsonl"]


def test_what_is_finished_is_not_done_again_by_another_number_of_processes(path: Path) -> None:
    append(sharded(path), 1, 3, process=1)
    assert sharded(path).unfinished() == [0, 2, 4]
    assert [sharded(path).unfinished(process, 3) for process in range(3)] == [[0], [4], [2]]


@pytest.mark.parametrize("kept", [0, 9, -1])
def test_a_torn_line_is_dropped(path: Path, kept: int) -> None:
    append(sharded(path), 0, 1)
    shard = path.with_suffix(".shards") / "0.jsonl"
    content = shard.read_bytes()
    begins = content.rindex(b"\n", 0, -1) + 1
    shard.write_bytes(content[: begins + kept] if kept >= 0 else content[:-2])
    file = sharded(path)
    assert file.unfinished() == [1, 2, 3, 4]
    append(file, 1, 2, 3, 4)
    file.finish()
    assert path.read_text(encoding="utf-8") == WHOLE


def test_the_old_file_stays_until_the_new_one_is_whole(path: Path) -> None:
    file = sharded(path)
    append(file, 0)
    path.write_text("old")
    with pytest.raises(KeyError):
        file.finish()
    assert path.read_text() == "old"
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.json", "a.jsonl", "a.shards"]


def test_another_origin_is_refused_or_replaced(path: Path) -> None:
    new = {"weights": "new", "size": 1}
    append(sharded(path), 0)
    with pytest.raises(InputError, match=r"a\.jsonl was made from something else \(weights in a\.json\)"):
        sharded(path, new)
    file = sharded(path)
    assert file.unfinished() == [1, 2, 3, 4]
    append(file, 1, 2, 3, 4)
    file.finish()
    assert sharded(path, new, replace=True).unfinished() == [0, 1, 2, 3, 4] and not path.exists()


@pytest.mark.parametrize("note", [None, "[]", "nonsense"])
def test_a_file_of_unknown_origin_is_refused(path: Path, note: str | None) -> None:
    path.parent.mkdir()
    path.write_text("mine")
    if note is not None:
        path.with_suffix(".json").write_text(note)
    with pytest.raises(InputError, match=r"a\.json does not say what it was made from"):
        sharded(path)
    assert path.read_text() == "mine"


def test_shards_that_a_killed_process_did_not_remove_go(path: Path) -> None:
    append(sharded(path), 0)
    path.write_text(WHOLE)
    assert sharded(path).is_complete and not path.with_suffix(".shards").exists()


def test_files_of_similar_names_are_left_alone(tmp_path: Path) -> None:
    append(sharded(tmp_path / "a.night.jsonl"), 0)
    for stem in ("a", "a.night2", "night", "a.n*"):
        append(sharded(tmp_path / f"{stem}.jsonl", {"x": 2}), 1)
    assert sharded(tmp_path / "a.night.jsonl").unfinished() == [1, 2, 3, 4]
