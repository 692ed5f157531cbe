"""The course archive on Google Drive: arranged as it should be, or refused with a way out."""

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
import requests
from gdown.exceptions import FileURLRetrievalError

from grounding.data.download import PUBLISHED, download, verify
from grounding.errors import InputError
from tests.data.download.published import COURSE_FILES, REFS, TINY, assert_complete, tarred, zipped


@pytest.mark.parametrize("pack", [zipped, tarred])
@pytest.mark.parametrize("top", ["", "a/b/refcocog/"])
def test_drive_archive_is_arranged_wherever_its_files_lie(tmp_path, drive, pack, top):
    left_by_macos = {f"__MACOSX/{Path(name).parent}/._{Path(name).name}": b"fork" for name in COURSE_FILES}
    files = {top + name.removeprefix("refcocog/"): content for name, content in COURSE_FILES.items()}
    drive(pack(files | left_by_macos))
    assert download(TINY, tmp_path / "data")
    assert_complete(tmp_path / "data")


def test_an_incomplete_archive_is_said_with_both_counts(tmp_path, drive):
    drive(zipped(COURSE_FILES | {"refcocog/annotations/refs(umd).p": pickle.dumps([REFS[0], *REFS[2:]])}))
    with pytest.raises(InputError) as error:
        download(TINY, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} holds 1 train, 1 val, 1 test, 3 images, where 2 train, 1 val, 1 test, 4 images are expected: "
        f"delete {tmp_path / 'downloads'} and run the same command again, or choose another --source"
    )


@pytest.mark.parametrize("missing", ["refs(umd).p", "instances.json"])
def test_an_archive_without_annotations_is_said(tmp_path, drive, missing):
    drive(zipped({name: content for name, content in COURSE_FILES.items() if not name.endswith(missing)}))
    with pytest.raises(InputError, match="does not contain"):
        download(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["downloads"]


@pytest.mark.parametrize("content", [tarred(COURSE_FILES)[:-100], zipped({"../evil.txt": b"evil", **COURSE_FILES})])
def test_a_damaged_or_evil_archive_leaves_nothing_unpacked(tmp_path, drive, content):
    drive(content)
    with pytest.raises(InputError, match="delete it and"):
        download(TINY, tmp_path / "data")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["downloads"]


@pytest.mark.parametrize(
    "problem",
    [FileURLRetrievalError("Failed to\n\n\tretrieve, too many accesses"), requests.ConnectionError("no route")],
)
def test_a_refusal_of_google_drive_is_one_sentence_with_ways_out(tmp_path, drive, problem):
    drive(problem)
    with pytest.raises(InputError) as error:
        download(TINY, tmp_path)
    message = str(error.value)
    assert "\n" not in message and "drive.google.com/uc?id=the-id" in message and "--source official" in message
    assert str(tmp_path / "downloads" / "refcocog-drive") in message


def test_what_is_published():
    totals = {name: (sum(d.sentences.values()), d.images) for name, d in PUBLISHED.items()}
    assert totals == {"refcocog": (95_010, 25_799), "refcoco": (142_210, 19_994), "refcoco+": (141_564, 19_992)}


def test_missing_and_empty_images_are_counted(tmp_path, drive):
    drive(zipped(COURSE_FILES))
    download(TINY, tmp_path)
    first, _, third, _ = sorted((tmp_path / "images").iterdir())
    first.unlink()
    third.write_bytes(b"")
    with pytest.raises(InputError) as error:
        verify(TINY, tmp_path, "get it again")
    assert str(error.value) == (
        f"{tmp_path} holds 2 train, 1 val, 1 test, 2 images ({first} is missing or empty), "
        "where 2 train, 1 val, 1 test, 4 images are expected: get it again"
    )
    with pytest.raises(InputError, match="no split 'testA'"):
        verify(replace(TINY, sentences={"testA": 1}), tmp_path, "")
