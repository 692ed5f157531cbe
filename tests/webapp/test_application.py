"""What the page's server does by itself while it is up."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from grounding.errors import InputError
from grounding.webapp import application, disk, serving
from grounding.webapp.disk import SECONDS
from grounding.webapp.serving import ServeConfig, serve


def test_old_uploads_go_though_nobody_asks(answerer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TIDY_SECONDS", 0.01)
    server = application.make_page_server(answerer, [], subtitle="", folder=tmp_path, max_bytes=10, host="127.0.0.1")
    upload = tmp_path / "upload.png"
    with TestClient(server.config.app):
        upload.touch()
        time.sleep(0.2)
        assert upload.exists()
        now = time.time()
        monkeypatch.setattr(disk.time, "time", lambda: now + SECONDS + 10)
        ends = time.monotonic() + 30
        while upload.exists() and time.monotonic() < ends:
            time.sleep(0.01)
        assert not upload.exists()


def test_few_users_values_are_kept(answerer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []

    def build(*arguments, **options):
        pages.append(application_build(*arguments, **options))
        return pages[-1]

    application_build = application.build_page
    monkeypatch.setattr(application, "build_page", build)
    application.make_page_server(answerer, [], subtitle="", folder=tmp_path, max_bytes=10, host="127.0.0.1")
    holder = pages[0].state_holder
    for number in range(application.SESSIONS + 3):
        holder[str(number)]
    assert len(holder.session_data) <= application.SESSIONS + 1  # Gradio looks before it adds


def test_serving_uses_few_arenas_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []

    def refuse(*_: object) -> None:
        called.append("server")
        raise InputError("no server")

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(serving, "use_few_arenas", lambda: called.append("arenas"))
    monkeypatch.setattr(serving, "make_server", refuse)
    try:
        with pytest.raises(InputError, match="no server"):
            serve(ServeConfig("refshapes", port=0))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert called == ["arenas", "server"]
