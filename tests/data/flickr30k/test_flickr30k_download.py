"""The annotations of Flickr30k Entities: fetched, arranged and counted; and where its photographs are to come from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from grounding.data import download as module
from grounding.data import flickr30k
from grounding.data.download import PUBLISHED, download, main
from grounding.runtime.errors import InputError
from tests.data.flickr30k.files import FIELD, STREET, write_flickr30k
from tests.local_server import LocalServer
from tests.tar_files import archived


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(flickr30k, "PUBLISHED_IMAGES", {"train": 1, "test": 1})
    return write_flickr30k(tmp_path / "published", {"train": [STREET], "test": [FIELD]})


@pytest.fixture
def server(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServer]:
    files = {f"e/{name}": (published / name).read_bytes() for name in ("train.txt", "test.txt", "UNRELATED_CAPTIONS")}
    inside = {f"{folder}/{path.name}": path.read_bytes()
              for folder in ("Sentences", "Annotations") for path in (published / folder).iterdir()}  # fmt: skip
    inside["__MACOSX/Annotations/._1007.xml"] = b"fork"
    with LocalServer(files | {"e/annotations.zip": archived(inside, "zip")}) as serving:
        monkeypatch.setattr(module, "FLICKR30K_ADDRESS", serving.url("e"))
        yield serving


def test_annotations_come_and_the_form_is_named(
    published: Path, server: LocalServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "flickr"
    options = ["flickr30k", "--root", str(root)]
    server.faults.append("drop")
    main(options)
    said = capsys.readouterr().out
    assert f"in {root} is complete: 2 images without their photographs (ask for flickr30k-images.tar.gz" in said
    assert {path.name for path in root.iterdir()} == {"train.txt", "test.txt", "UNRELATED_CAPTIONS", "Sentences",
                                                      "Annotations", "downloads"}  # fmt: skip
    for folder in ("Sentences", "Annotations"):
        assert {path.name: path.read_bytes() for path in (root / folder).iterdir()} == {
            path.name: path.read_bytes() for path in (published / folder).iterdir()
        }
    (published / "flickr30k-images").rename(root / "flickr30k-images")
    asked = len(server.requests)
    main(options)
    assert capsys.readouterr().out.endswith("is complete: 2 images; nothing was downloaded\n")
    assert len(server.requests) == asked
    assert len(flickr30k.Flickr30kEntities(root, "test", group_by="image")) == 1


def test_what_is_lost_comes_back_from_what_was_fetched(server: LocalServer, tmp_path: Path) -> None:
    assert download(PUBLISHED["flickr30k"], tmp_path)[1]
    asked = len(server.requests)
    lost = tmp_path / "Annotations" / f"{FIELD}.xml"
    lost.unlink()
    said = rf"1 images in test\.txt, of which 1 are expected, and lacks 1 files of theirs \(.*{FIELD}\.xml is missing"
    with pytest.raises(InputError, match=said):
        main(["flickr30k", "--root", str(tmp_path), "--verify-only"])
    assert download(PUBLISHED["flickr30k"], tmp_path)[1]
    assert lost.is_file() and len(server.requests) == asked


def test_a_list_of_another_length_is_refused(server: LocalServer, tmp_path: Path) -> None:
    server.files["e/train.txt"] = b"1007\n36979\n"
    with pytest.raises(InputError, match=r"has 2 images in train\.txt, of which 1 are expected.*: delete .*downloads"):
        download(PUBLISHED["flickr30k"], tmp_path)
