"""A published CLIP by its name: downloaded once, checked, and in a sentence where it cannot be had."""

import hashlib
import time
from pathlib import Path

import pytest
import requests
import torch

from grounding.clip import backbone
from grounding.clip.backbone import ADDRESSES, RESNETS, load_clip
from grounding.runtime import download
from grounding.runtime.errors import InputError
from tests.clip.saved_clip import images, save_archive
from tests.local_server import LocalServer
from tests.tiny_clip import tiny_clip


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """The bytes of a CLIP as OpenAI publishes it."""
    return save_archive(tmp_path_factory.mktemp("published") / "RN50.pt").read_bytes()


@pytest.fixture
def server(archive, tmp_path, monkeypatch):
    """Has that file in the place of OpenAI's RN50; the cache is tmp_path / "cache"."""
    path = f"{hashlib.sha256(archive).hexdigest()}/RN50.pt"
    monkeypatch.setattr(backbone, "CACHE", tmp_path / "cache")
    with LocalServer({path: archive}) as local:
        monkeypatch.setattr(backbone, "ADDRESSES", {"RN50": local.url(path)})
        yield local


def test_the_addresses_and_hashes_are_openais():
    assert all(ADDRESSES[name].startswith("https://openaipublic") and name in ADDRESSES[name] for name in RESNETS)
    # RN50's as OpenAI's repository has it, clip/clip.py.
    assert "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762" in backbone.PUBLISHED_SHA256


def test_it_is_downloaded_once_and_says_from_where_to_where(server, archive, tmp_path, capsys):
    for _ in range(2):
        loaded = load_clip("RN50")
    assert len(server.requests) == 1
    assert (tmp_path / "cache" / "RN50.pt").read_bytes() == archive
    said = capsys.readouterr().err
    assert server.url("") in said and str(tmp_path / "cache") in said and "100%" in said
    assert loaded.name == "RN50" and hashlib.sha256(archive).hexdigest()[:12] in loaded.weights
    torch.testing.assert_close(loaded.model.encode_image(images()), tiny_clip().encode_image(images()))


def test_without_a_network_one_sentence_has_address_folder_and_remedy(server, tmp_path, monkeypatch):
    asked = []

    def unreachable(url, **options):
        asked.append(options["timeout"])
        raise requests.ConnectTimeout("a dead proxy")

    monkeypatch.setattr(download.requests, "get", unreachable)
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail("nobody waits for what is not there"))
    with pytest.raises(InputError) as info:
        load_clip("RN50")
    message = str(info.value)
    for part in (server.url(""), str(tmp_path / "cache"), "ConnectTimeout", "--model.clip FILE"):
        assert part in message
    assert "\n" not in message and len(asked) == 1
    assert all(seconds <= 30 for seconds in asked[0])  # to connect, and between two pieces


def test_a_file_that_is_not_the_published_one_is_named(server, tmp_path):
    cached = Path(tmp_path / "cache" / "RN50.pt")
    cached.parent.mkdir()
    cached.write_bytes(b"the half that another program's download left")
    with pytest.raises(InputError, match=r"RN50\.pt is not the file that OpenAI published .*delete it"):
        load_clip("RN50")
    assert cached.exists() and not server.requests
