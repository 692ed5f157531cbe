"""The official source: a server's archives, of which only what is missing is taken."""

from dataclasses import replace

import pytest

from grounding.data.download import download
from grounding.errors import InputError
from tests.data.download.published import IMAGES, TINY, assert_complete


def from_official(server, root, **urls):
    urls = {"refs_url": server.url("refcocog.zip"), "images_url": server.url("train2014.zip"), **urls}
    return download(replace(TINY, **urls), root, "official")


def test_official_source_takes_only_the_images_that_are_named(tmp_path, official):
    assert from_official(official, tmp_path)
    assert_complete(tmp_path)
    assert not from_official(official, tmp_path)
    assert [path for path, _ in official.requests] == ["refcocog.zip", "train2014.zip"]


def test_official_source_goes_on_with_a_killed_download(tmp_path, official):
    (tmp_path / "downloads").mkdir()
    part = tmp_path / "downloads" / "train2014.zip.part"
    part.write_bytes(official.files["train2014.zip"][:50])
    official.versions = {"ETag": '"1"'}
    part.with_name("train2014.zip.part.version").write_text(official.url("train2014.zip") + '\n"1"')
    from_official(official, tmp_path)
    assert official.requests[-1] == ("train2014.zip", "bytes=50-")
    assert_complete(tmp_path)


def test_images_that_are_there_already_are_not_downloaded(tmp_path, official):
    folder = tmp_path / "images" / "train2014"
    folder.mkdir(parents=True)
    for name, content in IMAGES.items():
        (folder / name).write_bytes(content)
    from_official(official, tmp_path)
    assert [path for path, _ in official.requests] == ["refcocog.zip"]


def test_missing_images_join_those_of_a_subfolder(tmp_path, official):
    folder = tmp_path / "images" / "train2014"
    folder.mkdir(parents=True)
    from_official(official, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == IMAGES


def test_a_wrong_address_is_said(tmp_path, official):
    with pytest.raises(InputError, match="answered 404"):
        from_official(official, tmp_path, refs_url=official.url("gone.zip"))
    with pytest.raises(InputError, match="does not end with a file's name"):
        from_official(official, tmp_path, refs_url=official.url(""))
