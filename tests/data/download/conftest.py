"""The two sources of a data set: a stand-in for Google Drive, and a server with the official archives."""

from pathlib import Path

import gdown
import pytest

from tests.data.download.published import ANNOTATIONS, IMAGES, zipped
from tests.local_server import LocalServer


class Drive:
    """Stands in for `gdown.download`, with its own rule that an existing file is not downloaded again."""

    def __init__(self, content):
        self.content = content
        self.downloads = 0

    def __call__(self, *, id, output, resume):
        assert id == "the-id" and resume and isinstance(output, str)
        if isinstance(self.content, Exception):
            raise self.content
        if not Path(output).exists():
            self.downloads += 1
            Path(output).write_bytes(self.content)
        return output


@pytest.fixture
def drive(monkeypatch):
    def serve(content):
        stand_in = Drive(content)
        monkeypatch.setattr(gdown, "download", stand_in)
        return stand_in

    return serve


@pytest.fixture
def official():
    files = {f"refcocog/{name}": content for name, content in ANNOTATIONS.items()}
    photos = {f"train2014/{name}": content for name, content in IMAGES.items()} | {"train2014/unused.jpg": b"unused"}
    with LocalServer({"refcocog.zip": zipped(files), "train2014.zip": zipped(photos)}) as server:
        yield server
