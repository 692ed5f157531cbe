"""A file is the one before or the new one, whatever happens while it is written; whom the umask lets may read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from grounding.methods.names import names_of
from grounding.runtime.files import atomic_write, write_text_atomic
from tests.toy_data import make_trained_run


def test_an_error_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_text_atomic(path, "old")
    with pytest.raises(TypeError), atomic_write(path) as unfinished:
        unfinished.write_text("half") + None  # type: ignore[operator]
    assert path.read_text() == "old" and [each.name for each in path.parent.iterdir()] == ["file.txt"]


def test_what_utf8_lacks_is_written_with_escapes(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    assert names_of(name)[0] == "caf\\udce9"
    write_text_atomic(tmp_path / "page.html", f"<h1>{name} 红</h1>")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == "<h1>caf\\udce9 红</h1>"


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    seen = []
    flush = os.fsync

    def watched(descriptor: int) -> None:
        seen.append((os.path.samestat(os.fstat(descriptor), tmp_path.stat()), path.read_text()))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    write_text_atomic(path, "new")
    assert seen == [(False, "old"), (True, "new")]  # the file under its other name, then the folder

    def full(_: int) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text_atomic(path, "newer")
    assert path.read_text() == "new" and len(list(tmp_path.iterdir())) == 1


def modes(folder: Path) -> dict[str, str]:
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(os.name == "nt", reason="permissions of this kind are POSIX's")
@pytest.mark.parametrize("umask", [0o022, 0o077], ids=oct)
def test_whoever_may_read_new_files_may_read_all_that_a_run_has_written(tmp_path: Path, umask: int) -> None:
    path = tmp_path / "weights.safetensors"
    for left_behind in (path, tmp_path / "weights.safetensors.part"):  # by a killed program, say
        left_behind.write_text("old")
        left_behind.chmod(0o600)
    before = os.umask(umask)
    try:
        with atomic_write(path) as unfinished:
            save_file({"a": torch.zeros(1)}, unfinished)
        assert modes(tmp_path) == {"weights.safetensors": oct(0o666 & ~umask)}
        if umask == 0o022:
            run = make_trained_run(tmp_path) / "run"
            assert set(modes(run).values()) == {"0o644"} and len(modes(run)) >= 8
    finally:
        os.umask(before)
