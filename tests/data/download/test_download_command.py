"""The command that downloads: what it says, and how it ends."""

from dataclasses import replace
from pathlib import Path

import pytest

from grounding.data.download import PUBLISHED, main
from grounding.errors import InputError
from tests.data.download.published import COURSE_FILES, IMAGES, TINY, assert_complete, zipped
from tests.scripts import assert_refused, run_script


def test_command_downloads_then_says_complete_then_verifies(tmp_path, drive, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PUBLISHED, "refcocog", TINY)
    drive(zipped(COURSE_FILES))
    main(["refcocog"])
    root = Path("data") / "refcocog"
    assert_complete(root)
    assert f"refcocog in {root} is complete: 4 sentences over 4 images; the archives in" in capsys.readouterr().out
    for arguments in (["refcocog"], ["refcocog", "--verify-only"], ["refcocog", "--root", str(tmp_path / root)]):
        main(arguments)
        assert capsys.readouterr().out.endswith("4 sentences over 4 images; nothing was downloaded\n")
    (root / "images" / next(iter(IMAGES))).unlink()
    with pytest.raises(InputError, match=r"3 images .*: run the same command without --verify-only"):
        main(["refcocog", "--verify-only"])


def test_command_says_that_the_course_archive_is_refcocog_only(tmp_path, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "refcoco", replace(TINY, name="refcoco", drive_id=None))
    with pytest.raises(InputError, match="refcoco is not in the course archive: add --source official"):
        main(["refcoco", "--root", str(tmp_path)])


def test_a_user_error_ends_the_process_with_code_2(tmp_path, capsys):
    outcome = run_script(capsys, "grounding.data.download", "refcocog", "--root", tmp_path / "none", "--verify-only")
    assert_refused(outcome, "there is no data folder")
    assert outcome.err.count("\n") == 1
