"""A run on a model hub is loaded as it is; what goes wrong on the way is said in one sentence."""

from __future__ import annotations

import hashlib
import json
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import yaml
from huggingface_hub import constants

import grounding
from grounding.methods.hub_download import fetched
from grounding.methods.names import RUN_FILES, SHIPPED
from grounding.runtime.errors import InputError

READER = "hf_reader"  # the token that sees what is private
FILES = {name: (SHIPPED["refshapes"] / name).read_bytes() for name in RUN_FILES}


@dataclass
class Hub:
    """One repository, somebody/mine, by as much of the protocol as huggingface_hub uses to list and download.

    Attributes:
        revisions: name -> files; "main" is the latest one.
        downloads: names of the files that were downloaded.
    """

    revisions: dict[str, dict[str, bytes]] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    downloads: list[str] = field(default_factory=list)


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def handler_of(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # /api/models/NAME/revision/REVISION, /api/models/NAME/tree/REVISION, /NAME/resolve/REVISION/FILE
            parts = [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]
            in_api = parts[:2] == ["api", "models"]
            name, rest = ("/".join(parts[2:4]), parts[4:]) if in_api else ("/".join(parts[:2]), parts[2:])
            may_see = not hub.private or self.headers.get("Authorization") == f"Bearer {READER}"
            if name != "somebody/mine" or not hub.revisions or not may_see:
                return self.send(401, {"X-Error-Code": "RepoNotFound"})
            shas = {revision: _sha1(f"{revision} {[*files]}".encode()) for revision, files in hub.revisions.items()}
            revision = next((each for each in shas if rest[1] in (each, shas[each])), None)
            if revision is None:
                return self.send(404, {"X-Error-Code": "RevisionNotFound"})
            sha, files = shas[revision], hub.revisions[revision]
            if in_api and rest[0] == "tree":
                return self.send(200, {}, [{"type": "file", "path": path, "size": len(content), "oid": _sha1(content)}
                                           for path, content in files.items()])  # fmt: skip
            if in_api:
                return self.send(200, {}, {"id": name, "sha": sha, "siblings": [{"rfilename": each} for each in files]})
            if hub.gated:
                return self.send(403, {"X-Error-Code": "GatedRepo"})
            if self.command == "GET":
                hub.downloads.append(rest[2])
            self.send(200, {"ETag": f'"{_sha1(files[rest[2]])}"', "X-Repo-Commit": sha}, files[rest[2]])

        do_HEAD = do_GET

        def send(self, status: int, headers: dict[str, str], content: Any = b"{}") -> None:
            body = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub with the shipped run, in place of the public one, and a cache of this test's own."""
    hub, before = Hub({"main": FILES}), constants.ENDPOINT
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(hub)) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setattr(constants, "ENDPOINT", url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE  # made from the endpoint at import
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace(before, url))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", READER)
        monkeypatch.chdir(tmp_path)
        fetched.cache_clear()
        yield hub
        server.shutdown()
    fetched.cache_clear()


def heatmaps(name: str) -> list[np.ndarray]:
    image = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    return [each.heatmap for each in grounding.load(name).ground(image, ["the red circle", "the ring on the left"])]


def refused(name: str) -> str:
    fetched.cache_clear()
    with pytest.raises(InputError) as refusal:
        grounding.load(name)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_run_is_what_it_was_before_it_was_shared(hub: Hub) -> None:
    hub.revisions["main"] = FILES | {"states/random_states_0.pkl": b"a pickle", "code.py": b"nobody asks for it"}
    np.testing.assert_array_equal(heatmaps("hf://somebody/mine"), heatmaps("refshapes"))
    assert set(hub.downloads) == set(RUN_FILES)


def test_an_earlier_revision_can_be_loaded(hub: Hub) -> None:
    hub.revisions |= {"v1": FILES, "main": {name: FILES[name] for name in RUN_FILES[:2]}}
    assert grounding.load("hf://somebody/mine").extraction.method == "components"  # type: ignore[attr-defined]
    assert grounding.load("hf://somebody/mine@v1").extraction.method == "quality"  # type: ignore[attr-defined]


def test_only_a_name_with_the_prefix_is_looked_for_on_the_hub(hub: Hub) -> None:
    for name in ("runs/other", "somebody/mine", "somebody/mine@v1.0"):
        assert f"no run folder '{name}'" in refused(name) and f"named hf://{name}" in refused(name)
    for name in ("./mine", "a/b/c", "~/mine"):
        assert "named hf://" not in refused(name)
    assert not hub.downloads


def test_runs_that_cannot_be_had(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is no repository on the model hub" in refused("hf://somebody/else")
    for name in ("somebody/bad..name", "", "mine", "a/b/c", "../b", "somebody/mine@"):
        assert "is no name on a model hub" in refused(f"hf://{name}")
    assert "no such revision" in refused("hf://somebody/mine@v2")
    hub.private = True
    monkeypatch.delenv("HF_TOKEN")
    assert "log in with `hf auth login` if it is private" in refused("hf://somebody/mine")
    hub.private, hub.gated = False, True
    assert "is gated" in refused("hf://somebody/mine")
    hub.gated = False
    hub.revisions["main"] = {"config.yaml": FILES["config.yaml"]}
    assert "is no run of this project: it has no decoder.safetensors" in refused("hf://somebody/mine")


@pytest.mark.usefixtures("hub")
def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    before = heatmaps("hf://somebody/mine")
    fetched.cache_clear()
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    np.testing.assert_array_equal(heatmaps("hf://somebody/mine"), before)
    assert "HF_HUB_OFFLINE is set" in refused("hf://somebody/other")
    [decoder] = Path(constants.HF_HUB_CACHE).glob("**/snapshots/*/decoder.safetensors")
    decoder.unlink()  # as after a download that was cut off
    assert "needs the model hub, and HF_HUB_OFFLINE is set" in refused("hf://somebody/mine")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "cannot be reached" in refused("hf://somebody/other")


@pytest.mark.parametrize(
    ("change", "extraction", "fragment"),
    [
        ({"clip": "/etc/passwd"}, {}, "names the CLIP '/etc/passwd'"),
        ({"decoder": {"class_path": "this.Anything"}}, {}, "no setting 'model.decoder.class_path'"),
        ({"trust_checkpoint": True, "clip": "clip.pt"}, {}, "names the CLIP 'clip.pt'"),
        ({}, {"class_path": "this.Anything"}, "extraction.yaml is damaged (there is no setting 'class_path')"),
    ],
)
def test_a_configuration_that_wants_more(hub: Hub, change: dict, extraction: dict, fragment: str) -> None:
    config = yaml.safe_load(FILES["config.yaml"])
    config["model"] |= change
    hub.revisions["main"] = FILES | {"config.yaml": yaml.safe_dump(config).encode()}
    if extraction:
        hub.revisions["main"]["extraction.yaml"] = yaml.safe_dump(extraction).encode()
    sys.modules.pop("this", None)
    assert fragment in refused("hf://somebody/mine")
    assert "this" not in sys.modules
