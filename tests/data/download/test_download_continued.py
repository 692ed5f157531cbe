"""A folder that holds some of a data set already: what is missing comes, and nothing comes twice."""

import shutil

import pytest

from grounding.data import download as module
from grounding.data.download import download, verify
from grounding.errors import InputError
from grounding.runtime import files
from tests.data.download.published import COURSE_FILES, IMAGES, TINY, assert_complete, zipped


def test_a_lost_image_comes_back_from_the_kept_archive_and_a_whole_data_set_is_left_alone(tmp_path, drive):
    course = drive(zipped(COURSE_FILES))
    download(TINY, tmp_path)
    (tmp_path / "images" / next(iter(IMAGES))).write_bytes(b"")
    assert download(TINY, tmp_path)
    assert_complete(tmp_path)
    shutil.rmtree(tmp_path / "downloads")
    assert not download(TINY, tmp_path)
    assert course.downloads == 1


def test_what_a_killed_run_left_unpacked_does_not_count(tmp_path, drive):
    (tmp_path / "downloads" / "unpacked" / "refcocog" / "images").mkdir(parents=True)
    (tmp_path / "downloads" / "unpacked" / "refcocog" / "images" / "half.jpg").write_bytes(b"half")
    drive(zipped(COURSE_FILES))
    download(TINY, tmp_path)
    assert_complete(tmp_path)


def test_a_second_download_into_one_folder_is_refused(tmp_path, drive, monkeypatch):
    monkeypatch.setattr(files, "SECONDS_FOR_THE_KILLED", 0.1)
    course = drive(zipped(COURSE_FILES))
    with (
        files.locked(tmp_path / "downloads" / ".lock", "download"),
        pytest.raises(InputError, match=r"another download works in .*--root"),
    ):
        download(TINY, tmp_path)
    assert course.downloads == 0
    download(TINY, tmp_path)
    assert_complete(tmp_path)


def test_images_moved_before_a_kill_are_kept_and_the_rest_follows(tmp_path, drive, monkeypatch):
    drive(zipped(COURSE_FILES))
    moves = []

    def killed_at_the_fifth(source, target):
        moves.append(target)
        if len(moves) == 5:
            raise KeyboardInterrupt
        shutil.move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(module.os, "replace", killed_at_the_fifth)
        with pytest.raises(KeyboardInterrupt):
            download(TINY, tmp_path)
    with pytest.raises(InputError, match=r"1 images \(.*.jpg is missing or empty\), where .* 4 images"):
        verify(TINY, tmp_path, "")
    download(TINY, tmp_path)
    assert_complete(tmp_path)
