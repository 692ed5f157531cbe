"""What is downloaded, from Google Drive or the official archives, is arranged, counted and never fetched twice."""

import json
import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import gdown
import pytest
import requests
from gdown.exceptions import FileURLRetrievalError

from grounding.data import download as module
from grounding.data.download import PUBLISHED, PublishedDataset, download, main
from grounding.runtime import files
from grounding.runtime.errors import InputError
from tests.local_server import LocalServer
from tests.tar_files import archived

IMAGES = {f"COCO_train2014_{i:012}.jpg": f"jpeg {i}".encode() for i in range(1, 5)}
REFS = [
    {"ref_id": i, "ann_id": i, "image_id": i, "split": split, "sentences": [{"sent_id": i, "sent": "a cat"}]}
    for i, split in enumerate(["train", "train", "val", "test"], start=1)
]
INSTANCES = {
    "images": [{"id": i, "file_name": name, "width": 9, "height": 9} for i, name in enumerate(IMAGES, start=1)],
    "annotations": [{"id": i, "image_id": i, "bbox": [0, 0, 4, 4], "category_id": 1} for i in range(1, 5)],
}
ANNOTATIONS = {
    "refs(umd).p": pickle.dumps(REFS, protocol=2),
    "refs(google).p": pickle.dumps(REFS[:2], protocol=2),
    "instances.json": json.dumps(INSTANCES).encode(),
}
COURSE_FILES = {f"refcocog/annotations/{name}": content for name, content in ANNOTATIONS.items()}
COURSE_FILES |= {f"refcocog/images/{name}": content for name, content in IMAGES.items()}
TINY = PublishedDataset(
    "refcocog", "umd", {"train": 2, "val": 1, "test": 1}, 4, "http://nowhere.invalid", drive_id="the-id"
)


def assert_complete(root):
    assert {path.name: path.read_bytes() for path in (root / "annotations").iterdir()} == ANNOTATIONS
    assert {path.name: path.read_bytes() for path in (root / "images").iterdir()} == IMAGES
    assert sorted(path.name for path in root.iterdir()) == ["annotations", "downloads", "images"]


@pytest.fixture
def drive(monkeypatch):
    """Has `gdown.download` give a content, or raise an error; it, too, leaves a file alone that is there already."""

    def serve(content):
        fetched = []

        def stand_in(*, id, output, resume):
            assert id == "the-id" and resume and isinstance(output, str)
            if isinstance(content, Exception):
                raise content
            if not Path(output).exists():
                fetched.append(Path(output).write_bytes(content))

        monkeypatch.setattr(gdown, "download", stand_in)
        return fetched

    return serve


@pytest.fixture
def official():
    annotations = {f"refcocog/{name}": content for name, content in ANNOTATIONS.items()}
    photos = {f"train2014/{name}": content for name, content in IMAGES.items()} | {"train2014/unused.jpg": b"unused"}
    archives = {"refcocog.zip": annotations, "train2014.zip": photos}
    with LocalServer({name: archived(files, "zip") for name, files in archives.items()}) as server:
        yield server


@pytest.mark.parametrize("kind", ["zip", "gz"])
@pytest.mark.parametrize("top", ["", "a/b/refcocog/"])
def test_drive_archive_is_arranged_wherever_its_files_lie(tmp_path, drive, kind, top):
    left_by_macos = {f"__MACOSX/{Path(name).parent}/._{Path(name).name}": b"fork" for name in COURSE_FILES}
    moved = {top + name.removeprefix("refcocog/"): content for name, content in COURSE_FILES.items()}
    drive(archived(moved | left_by_macos, kind))
    assert download(TINY, tmp_path / "data") == ("4 sentences over 4 images", True)
    assert_complete(tmp_path / "data")


def test_an_incomplete_archive_is_said_with_both_counts(tmp_path, drive):
    drive(archived(COURSE_FILES | {"refcocog/annotations/refs(umd).p": pickle.dumps([REFS[0], *REFS[2:]])}, "zip"))
    with pytest.raises(InputError) as error:
        download(TINY, tmp_path)
    assert str(error.value) == (
        f"{tmp_path} holds 1 train, 1 val, 1 test, 3 images, where 2 train, 1 val, 1 test, 4 images are expected: "
        f"delete {tmp_path / 'downloads'} and run the same command again, or choose another --source"
    )


def test_an_archive_without_annotations_is_said(tmp_path, drive):
    drive(archived({name: content for name, content in COURSE_FILES.items() if "instances" not in name}, "zip"))
    with pytest.raises(InputError, match="does not contain"):
        download(TINY, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["downloads"]


def test_a_damaged_archive_leaves_nothing_unpacked(tmp_path, drive):
    drive(archived(COURSE_FILES, "gz")[:-100])
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


def test_of_most_data_sets_there_is_no_course_archive(tmp_path):
    with pytest.raises(InputError, match="refcoco is not in the course archive: add --source official"):
        download(PUBLISHED["refcoco"], tmp_path)


def test_images_moved_before_a_kill_are_kept_and_the_rest_follows(tmp_path, drive, monkeypatch):
    drive(archived(COURSE_FILES, "zip"))
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
        TINY.verify(tmp_path, "")
    half = tmp_path / "downloads" / "unpacked" / "refcocog" / "images" / "half.jpg"  # as a killed run leaves it
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    download(TINY, tmp_path)
    assert_complete(tmp_path)


def test_a_second_download_into_one_folder_is_refused(tmp_path, drive, monkeypatch):
    monkeypatch.setattr(files, "SECONDS_FOR_THE_KILLED", 0.1)
    fetched = drive(archived(COURSE_FILES, "zip"))
    with files.locked(tmp_path / "downloads" / ".lock", "download"):
        with pytest.raises(InputError, match=r"another download works in .*--root"):
            download(TINY, tmp_path)
        assert not fetched
    download(TINY, tmp_path)
    assert_complete(tmp_path)


def test_the_published_totals():
    totals = {name: (sum(d.sentences.values()), d.images) for name, d in PUBLISHED.items()
              if isinstance(d, PublishedDataset)}  # fmt: skip
    assert totals == {"refcocog": (95_010, 25_799), "refcoco": (142_210, 19_994), "refcoco+": (141_564, 19_992)}


def from_official(server, root):
    download(
        replace(TINY, refs_url=server.url("refcocog.zip"), images_url=server.url("train2014.zip")), root, "official"
    )


def test_official_source_takes_only_the_images_that_are_named_and_missing(tmp_path, official):
    folder = tmp_path / "images" / "train2014"
    folder.mkdir(parents=True)
    from_official(official, tmp_path)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == IMAGES
    shutil.rmtree(tmp_path / "downloads")
    shutil.rmtree(tmp_path / "annotations")
    from_official(official, tmp_path)
    assert [path for path, _ in official.requests] == ["refcocog.zip", "train2014.zip", "refcocog.zip"]


def test_command_downloads_then_says_complete_then_verifies(tmp_path, drive, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PUBLISHED, "refcocog", TINY)
    drive(archived(COURSE_FILES, "zip"))
    main(["refcocog"])
    root = Path("data") / "refcocog"
    assert_complete(root)
    assert f"refcocog in {root} is complete: 4 sentences over 4 images; the archives in" in capsys.readouterr().out
    for arguments in (["refcocog"], ["refcocog", "--verify-only"], ["refcocog", "--root", str(tmp_path / root)]):
        main(arguments)
        assert capsys.readouterr().out.endswith("4 sentences over 4 images; nothing was downloaded\n")
    (root / "images" / next(iter(IMAGES))).write_bytes(b"")
    with pytest.raises(InputError, match=r"3 images .*: run the same command without --verify-only"):
        main(["refcocog", "--verify-only"])
