"""A file made block by block: never of two origins, and there only when it is complete."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from grounding.errors import InputError
from grounding.made_once import MadeOnce


def letters(path: Path, made_from: dict, *, anew: bool = False) -> MadeOnce:
    return MadeOnce(path, made_from, items=5, block=2, anew=anew)


def write_all(file: MadeOnce, letter: str) -> None:
    for block in file.blocks.unfinished():
        file.blocks.write(block, letter * len(file.blocks.items_of(block)))


def test_there_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.jsonl"
    file = letters(path, {"x": 1})
    write_all(file, "a")
    assert not file.is_complete and not path.exists()
    file.finish()
    assert letters(path, {"x": 1}).is_complete and path.read_text() == "aaaaa"
    assert sorted(each.name for each in path.parent.iterdir()) == ["a.json", "a.jsonl"]


def test_finished_blocks_are_kept_for_the_same_origin_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    letters(path, {"weights": "old"}).blocks.write(1, "bb")
    assert list(letters(path, {"weights": "old"}).blocks.unfinished()) == [0, 2]
    file = letters(path, {"weights": "new"}, anew=True)
    assert list(file.blocks.unfinished()) == [0, 1, 2]
    write_all(file, "c")
    file.finish()
    assert path.read_text() == "ccccc"
    assert not letters(path, {"weights": "newer"}, anew=True).is_complete and not path.exists()


def test_another_origin_is_refused_where_nothing_may_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    letters(path, {"weights": "old", "size": 1}).blocks.write(0, "aa")
    with pytest.raises(InputError, match=r"a\.jsonl was made from something else \(weights in a\.json\)"):
        letters(path, {"weights": "new", "size": 1})
    assert list(letters(path, {"weights": "old", "size": 1}).blocks.unfinished()) == [1, 2]


@pytest.mark.parametrize("note", [None, "[]", "nonsense", ""])
def test_a_file_of_unknown_origin_is_refused(tmp_path: Path, note: str | None) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("mine")
    if note is not None:
        path.with_suffix(".json").write_text(note)
    with pytest.raises(InputError, match=r"a\.json does not say what it was made from"):
        letters(path, {"x": 1})
    assert path.read_text() == "mine"


def test_a_process_of_another_origin_adds_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    old = letters(path, {"weights": "old"})
    old.blocks.write(0, "oo")
    new = letters(path, {"weights": "new"}, anew=True)
    write_all(old, "o")  # it does not know of the new one
    assert list(new.blocks.unfinished()) == [0, 1, 2]
    with pytest.raises(InputError, match="made from something else by another process"):
        old.finish()
    write_all(new, "n")
    new.finish()
    assert path.read_text() == "nnnnn"


def test_two_that_join_at_once_leave_one_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    one, other = (letters(path, {"x": 1}) for _ in range(2))
    write_all(one, "a")
    copy, waiting = shutil.copyfileobj, [other]

    def in_between(source: object, target: object) -> None:
        if waiting:  # the other one joins all while this one has only begun
            waiting.pop().finish()
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", in_between)
    one.finish()
    assert path.read_text() == "aaaaa"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.json", "a.jsonl"]


def test_blocks_that_a_killed_process_did_not_remove_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    file = letters(path, {"x": 1})
    write_all(file, "a")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)
        file.finish()
    assert len(list(tmp_path.iterdir())) == 3
    assert letters(path, {"x": 1}).is_complete
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.json", "a.jsonl"]


def test_a_join_that_fails_beside_another_spoils_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jsonl"
    one, other = (letters(path, {"x": 1}) for _ in range(2))
    write_all(one, "a")
    copy, calls = shutil.copyfileobj, iter(range(100))

    def disturbed(source: object, target: object) -> None:
        number = next(calls)
        if number == 1:
            with pytest.raises(ZeroDivisionError):
                other.finish()
        if number == 2:  # the other one's first block
            raise ZeroDivisionError
        copy(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", disturbed)
    one.finish()
    assert path.read_text() == "aaaaa"


def test_who_begins_at_the_same_moment_keeps_the_others_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    letters(path, {"x": 1}).blocks.write(0, "aa")
    path.with_suffix(".json").unlink()  # the second one looked before the first one had written its note
    assert list(letters(path, {"x": 1}).blocks.unfinished()) == [1, 2]


def test_work_on_a_file_of_a_longer_name_is_left_alone(tmp_path: Path) -> None:
    longer = letters(tmp_path / "a.night.jsonl", {"x": 1})
    longer.blocks.write(0, "nn")
    for stem in ("a", "a.night2", "night", "a.n*"):
        write_all(letters(tmp_path / f"{stem}.jsonl", {"x": 2}), "o")
    assert list(letters(tmp_path / "a.night.jsonl", {"x": 1}).blocks.unfinished()) == [1, 2]


def test_two_that_begin_at_the_same_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, read = tmp_path / "a.jsonl", Path.read_bytes

    def read_late(note: Path) -> bytes:
        try:
            return read(note)
        finally:  # the other one comes between this look and what follows
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", read)
                write_all(letters(path, {"x": 1}), "a")
                letters(path, {"x": 1}).finish()

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", read_late)
        file = letters(path, {"x": 1})
    assert file.path == path
