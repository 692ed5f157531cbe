"""Work in blocks: every item once, whoever does it and however often it is killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from grounding.blocks import Blocks


def lines_of(blocks: Blocks, block: int) -> str:
    return "".join(f"{item}\n" for item in blocks.items_of(block))


@pytest.mark.parametrize("processes", [1, 2, 3, 7])
@pytest.mark.parametrize("items", [1, 6, 7, 20])
def test_every_item_is_there_once_and_in_order(tmp_path: Path, items: int, processes: int) -> None:
    for process in reversed(range(processes)):
        blocks = Blocks(tmp_path / "parts", items=items, size=3)
        for block in blocks.unfinished(process=process, processes=processes):
            blocks.write(block, lines_of(blocks, block))
    assert blocks.are_complete
    blocks.join(tmp_path / "whole")
    assert (tmp_path / "whole").read_text() == "".join(f"{item}\n" for item in range(items))
    assert not (tmp_path / "parts").exists()


def test_what_is_finished_is_not_done_again_by_another_number_of_processes(tmp_path: Path) -> None:
    first = Blocks(tmp_path / "parts", items=10, size=2)
    for block in list(first.unfinished(process=1, processes=2)):
        first.write(block, lines_of(first, block))
    assert list(Blocks(tmp_path / "parts", items=10, size=2).unfinished()) == [0, 2, 4]


def test_shares_do_not_depend_on_who_is_ahead(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "parts", items=8, size=1)
    blocks.write(0, "")
    assert list(blocks.unfinished(process=1, processes=2)) == [1, 3, 5, 7]


def test_a_block_that_was_being_written_is_not_there(tmp_path: Path) -> None:
    blocks = Blocks(tmp_path / "parts", items=2, size=1)
    (tmp_path / "parts" / "tmpabc.part").write_text("half a li")
    blocks.write(0, "0\n")
    assert not blocks.are_complete
    blocks.write(1, "1\n")
    blocks.join(tmp_path / "whole")
    assert (tmp_path / "whole").read_text() == "0\n1\n"


def test_joining_leaves_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    (tmp_path / "whole").write_text("old")
    blocks = Blocks(tmp_path / "parts", items=2, size=1)
    blocks.write(0, "0\n")
    with pytest.raises(FileNotFoundError):
        blocks.join(tmp_path / "whole")
    assert (tmp_path / "whole").read_text() == "old"
