"""What a client may not do: read the server's files, send it elsewhere, or speak for another page."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
import requests
from gradio import processing_utils, route_utils

from grounding.errors import InputError
from grounding.webapp.events import Handlers
from grounding.webapp.guard import LOOPBACK, OwnPage, names_of
from grounding.webapp.parts import lay_out
from reliability.page_session import Refused, Session

ELSEWHERE = "http://elsewhere.example/a.png"
FOREIGN = ["http://elsewhere.example", "http://localhost:1", "null", "127.0.0.1"]


def test_a_file_of_the_server_is_no_upload(url: str, uploads: Path, photo_file: Path) -> None:
    before = sorted(uploads.rglob("*"))
    for path in (str(photo_file), f"{uploads}/../{photo_file.relative_to(uploads.parent)}", "/etc/hostname"):
        session = Session(url)
        with pytest.raises(Refused):
            session.claim(path)
        assert not session.status
        session.values |= {"upload": None, "phrases": "the red square"}
        session.send("ask", "click")
        assert "There is no photo yet" in session.status
    assert sorted(uploads.rglob("*")) == before


def test_the_handler_itself_takes_uploads_only(answerer, photo_file: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    with gr.Blocks(analytics_enabled=False):
        parts = lay_out(list(answerer.methods.values()), [], subtitle="")
    handlers = Handlers(answerer, [], parts)
    inside = tmp_path / "uploads" / "a" / "inside.png"
    inside.parent.mkdir(parents=True)
    inside.write_bytes(photo_file.read_bytes())
    assert handlers.take({parts.upload: {"path": str(inside)}})[parts.photo].name == "inside.png"
    (inside.parent / "link.png").symlink_to(photo_file)
    for path in (photo_file, inside.parent / "../../street.png", inside.parent / "link.png"):
        answer = handlers.take({parts.upload: {"path": str(path)}})
        assert answer[parts.photo] is None and "was not uploaded" in answer[parts.status]
    with pytest.raises(InputError, match="not uploaded"):
        handlers._uploaded(Path("/etc/hostname"))


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


def test_what_the_page_does_not_ask_is_not_answered(url: str, uploads: Path) -> None:
    before = sorted(uploads.rglob("*"))
    for path in ("run/predict", "call/predict", "process_recording", "component_server", "vibe-edit", "queue/../run/a"):
        for method in ("POST", "PUT", "DELETE"):
            answer = requests.request(method, f"{url}gradio_api/{path}", data={"a": "b"}, timeout=30)
            assert (answer.status_code, answer.text) == (405, "the page does not ask this")
    assert requests.post(f"{url}login", data={"username": "a"}, timeout=30).status_code == 405
    assert sorted(uploads.rglob("*")) == before


def test_nothing_of_a_session_is_written_to_disk(url: str, uploads: Path) -> None:
    session = Session(url)
    session.send("ask", "click")
    before = sorted(uploads.rglob("*"))
    answer = requests.get(f"{url}gradio_api/deep_link", params={"session_hash": session._hash}, timeout=30)
    assert answer.status_code == 404 and sorted(uploads.rglob("*")) == before


def test_other_pages_cannot_use_the_server(url: str, uploads: Path) -> None:
    before = sorted(uploads.rglob("*"))
    own = url.removeprefix("http://").rstrip("/")
    port = own.partition(":")[2]
    for origin in FOREIGN:
        answer = requests.post(f"{url}gradio_api/upload", files={"files": ("a.png", b"a")},
                               headers={"Origin": origin}, timeout=30)  # fmt: skip
        assert answer.status_code == 403 and "access-control-allow-origin" not in answer.headers
        assert requests.get(f"{url}config", headers={"Origin": origin}, timeout=30).status_code == 403
    for host in ("elsewhere.example", f"elsewhere.example:{port}", f"127.0.0.1.elsewhere.example:{port}", "[", ""):
        assert requests.get(f"{url}config", headers={"Host": host}, timeout=30).status_code == 400
    assert sorted(uploads.rglob("*")) == before
    for host in (own, f"localhost:{port}", f"[::1]:{port}", "LOCALHOST"):
        headers = {"Host": host, "Origin": f"http://{host}"}
        assert requests.get(f"{url}config", headers=headers, timeout=30).ok
        assert requests.post(f"{url}gradio_api/reset", json={"event_id": "a"}, headers=headers, timeout=30).ok


def test_in_a_network_any_name_is_the_servers_but_not_any_origin() -> None:
    def status(names: frozenset[str] | None, **headers: str) -> int:
        sent: list[dict[str, Any]] = []

        async def application(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 200, "headers": []})

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
        scope = {"type": "http", "method": "GET", "path": "/", "headers": pairs}
        asyncio.run(OwnPage(application, names)(scope, None, send))
        return sent[0]["status"]

    for host in ("0.0.0.0", "::", "192.168.1.5", "server.example"):
        assert names_of(host) is None
    assert status(None, host="server.example:7860") == 200
    assert status(None, host="Server.example:7860", origin="http://server.example:7860") == 200
    assert status(None, host="server.example", origin="https://server.example") == 200
    for origin in (*FOREIGN, "http://server.example", "http://server.example:7861", "http://other.example:7860"):
        assert status(None, host="server.example:7860", origin=origin) == 403
    for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
        assert names_of(host) == LOOPBACK | {host}
    assert status(names_of("127.0.0.2"), host="127.0.0.2:7860") == 200
    assert status(names_of("127.0.0.1"), host="server.example:7860", origin="http://server.example:7860") == 400
