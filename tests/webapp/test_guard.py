"""What a client may not do: read the server's files, send it elsewhere, or speak for another page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import requests
from gradio import processing_utils, route_utils
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from grounding.runtime.cli import parse
from grounding.webapp.events import Handlers
from grounding.webapp.guard import BESIDES, LOOPBACK, RequestGuard, names_of
from grounding.webapp.page import Components
from grounding.webapp.serving import ServeConfig
from reliability.page_session import Refused, Session
from tests.scripts import ROOT
from tests.webapp.conftest import MAX_MEGABYTES, MAX_PIXELS

ELSEWHERE = "http://elsewhere.example/a.png"
FOREIGN = ["http://elsewhere.example", "http://localhost:1", "null", "127.0.0.1"]


def test_this_machine_alone_is_served_unless_told_otherwise() -> None:
    assert parse(ServeConfig, "visualize", ["runs/a", "yolo-clip", "--port", "0"], positional="run").host == "127.0.0.1"


@pytest.fixture
def nothing_is_kept(uploads: Path) -> Iterator[None]:
    """What the test asks leaves no file with the server."""
    before = sorted(uploads.rglob("*"))
    yield
    assert sorted(uploads.rglob("*")) == before


def test_a_file_of_the_server_is_no_upload(url: str, uploads: Path, photo_file: Path, nothing_is_kept) -> None:
    for path in (str(photo_file), f"{uploads}/../{photo_file.relative_to(uploads.parent)}", "/etc/hostname"):
        session = Session(url)
        with pytest.raises(Refused):
            session.claim(path)
        assert not session.status
        session.values |= {"upload": None, "phrases": "the red square"}
        session.send("ask", "click")
        assert "There is no photo yet" in session.status


def test_the_handler_itself_takes_uploads_only(answerer, photo_file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with gr.Blocks(analytics_enabled=False):
        ui = Components(list(answerer.methods.values()), [])
    handlers = Handlers(answerer, [], ui, max_pixels=MAX_PIXELS)
    inside = tmp_path / "uploads" / "a" / "inside.png"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(photo_file.read_bytes())
    assert handlers.take({ui.upload: {"path": str(inside)}})[ui.photo].name == "inside.png"
    (inside.parent / "link.png").symlink_to(photo_file)
    for path in (photo_file, inside.parent / "../../street.png", inside.parent / "link.png"):
        answer = handlers.take({ui.upload: {"path": str(path)}})
        assert answer[ui.photo] is None and "was not uploaded" in answer[ui.status]


@pytest.fixture
def fetched(monkeypatch) -> list[str]:
    """Addresses that Gradio would have fetched."""
    seen: list[str] = []

    async def fetch(address: str, *_: Any, **__: Any) -> None:
        seen.append(address)
        raise RuntimeError("no network")

    monkeypatch.setattr(processing_utils, "async_ssrf_protected_download", fetch)
    monkeypatch.setattr(route_utils.safehttpx, "async_validate_url", fetch)
    return seen


@pytest.mark.parametrize("component", ["upload", "phrases"])
def test_no_address_is_fetched_for_a_client(url: str, fetched: list[str], component: str) -> None:
    session = Session(url)
    with pytest.raises(Refused, match="only uploaded files"):
        session.claim(ELSEWHERE, component)
    session.values[component] = [{"path": ELSEWHERE, "meta": {"_type": "gradio.FileData"}}]
    with pytest.raises(Refused, match="only uploaded files"):
        session.send("ask", "click")
    assert fetched == []


@pytest.mark.parametrize("path", [f"file={ELSEWHERE}", "file=http%3A%2F%2Felsewhere.example/a", f"proxy={ELSEWHERE}"])
def test_no_address_is_fetched_for_a_link(url: str, fetched: list[str], path: str) -> None:
    assert requests.get(f"{url}gradio_api/{path}", timeout=30).status_code == 404
    assert fetched == []


def test_what_the_page_does_not_ask_is_not_answered(url: str, nothing_is_kept) -> None:
    for path in ("run/predict", "call/predict", "process_recording", "component_server", "vibe-edit", "queue/../run/a"):
        for method in ("POST", "PUT", "DELETE"):
            answer = requests.request(method, f"{url}gradio_api/{path}", data={"a": "b"}, timeout=30)
            assert (answer.status_code, answer.text) == (405, "the page does not ask this")


def test_other_pages_cannot_use_the_server(url: str, nothing_is_kept) -> None:
    own = url.removeprefix("http://").rstrip("/")
    port = own.partition(":")[2]
    for origin in FOREIGN:
        answer = requests.post(f"{url}gradio_api/upload", files={"files": ("a.png", b"a")},
                               headers={"Origin": origin}, timeout=30)  # fmt: skip
        assert answer.status_code == 403
        assert requests.get(f"{url}config", headers={"Origin": origin}, timeout=30).status_code == 403
    for host in ("elsewhere.example", f"elsewhere.example:{port}", f"127.0.0.1.elsewhere.example:{port}", "[", ""):
        assert requests.get(f"{url}config", headers={"Host": host}, timeout=30).status_code == 400
    for host in (own, f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert requests.get(f"{url}config", headers=headers, timeout=30).ok
        assert requests.post(f"{url}gradio_api/reset", json={"event_id": "a"}, headers=headers, timeout=30).ok


def test_in_a_network_any_name_is_the_servers_but_not_any_origin() -> None:
    def status(listening: str, **headers: str) -> int:
        page = RequestGuard(PlainTextResponse("the page"), listening, 1)
        return TestClient(page).get("/", headers=headers).status_code

    for host in ("0.0.0.0", "::", "192.168.1.5", "server.example"):
        assert names_of(host) is None
    assert status("0.0.0.0", host="Server.example:7860", origin="http://server.example:7860") == 200
    for origin in (*FOREIGN, "http://server.example", "http://server.example:7861", "http://other.example:7860"):
        assert status("0.0.0.0", host="server.example:7860", origin=origin) == 403
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert names_of(host) == LOOPBACK | {host}
    assert status("127.0.0.2", host="127.0.0.2:7860") == 200
    assert status("127.0.0.1", host="server.example:7860", origin="http://server.example:7860") == 400


def test_many_files_at_once_are_not_taken(url: str, nothing_is_kept) -> None:
    files = [("files", (f"{index}.png", bytes(2**19))) for index in range(6)]  # each within the limit of a file
    answer = requests.post(f"{url}gradio_api/upload", files=files, timeout=30)
    assert (answer.status_code, answer.text) == (413, "this is more than the page takes at once")


def test_an_endless_question_is_not_read(url: str) -> None:
    def ask(length: int, in_chunks: bool = False) -> int:
        data = b'{"event_id": "' + bytes(length).replace(b"\0", b"a") + b'"}'
        headers = {"content-type": "application/json"}
        body = iter([data]) if in_chunks else data  # whose length no header tells
        return requests.post(f"{url}gradio_api/reset", data=body, headers=headers, timeout=30).status_code

    limit = MAX_MEGABYTES * 2**20 + BESIDES
    assert [ask(limit - 100), ask(limit), ask(10, in_chunks=True)] == [200, 413, 411]


def test_no_file_of_the_server_is_served(url: str, photo_file: Path) -> None:
    for path in ("/etc/passwd", "/proc/self/environ", ROOT / "README.md", "README.md", photo_file):
        assert not requests.get(f"{url}gradio_api/file={path}", timeout=30).ok, path


def test_only_what_the_page_needs_is_served(url: str) -> None:
    page = requests.get(url, timeout=30)
    assert "default-src 'self'" in page.headers["content-security-policy"]
    # The last would write a session's values to disk.
    for path in ("docs", "openapi.json", "redoc", "monitoring", "gradio_api/deep_link?session_hash=a"):
        assert not requests.get(f"{url}{path}", timeout=30).ok, path
    assert requests.get(f"{url}gradio_api/info", timeout=30).json() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    config = requests.get(f"{url}config", timeout=30).json()
    assert config["analytics_enabled"] is False and config["footer_links"] == []
    assert config["stylesheets"] == []
