"""The official source: a server's archives, of which only what is missing is taken."""

import shutil
from dataclasses import replace

import pytest

from grounding.data.download import download
from grounding.errors import InputError
from tests.data.download.published import IMAGES, TINY, assert_complete


def from_official(server, root, refs="refcocog.zip"):
    download(replace(TINY, refs_url=server.url(refs), images_url=server.url("train2014.zip")), root, "official")


def test_official_source_takes_only_the_images_that_are_named(tmp_path, official):
    from_official(official, tmp_path)
    assert_complete(tmp_path)
    from_official(official, tmp_path)
    assert [path for path, _ in official.requests] == ["refcocog.zip", "train2014.zip"]


def test_images_that_are_there_already_are_not_downloaded(tmp_path, official):
    folder = tmp_path / "images" / "train2014"
    folder.mkdir(parents=True)
    from_official(official, tmp_path)  # missing ones join those of a subfolder
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == IMAGES
    shutil.rmtree(tmp_path / "downloads")
    shutil.rmtree(tmp_path / "annotations")
    official.requests.clear()
    from_official(official, tmp_path)
    assert [path for path, _ in official.requests] == ["refcocog.zip"]


def test_a_wrong_address_is_said(tmp_path, official):
    with pytest.raises(InputError, match=r"gone\.zip could not be downloaded .404"):
        from_official(official, tmp_path, "gone.zip")
    with pytest.raises(InputError, match="downloads cannot be unpacked"):
        from_official(official, tmp_path, "")
