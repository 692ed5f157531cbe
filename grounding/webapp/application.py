"""The page as a server: Gradio's application, less all that would ask or tell somebody else."""

from __future__ import annotations

import asyncio
from asyncio import Event
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from socket import socket

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.routing import Mount

from grounding.webapp.answers import Answerer
from grounding.webapp.disk import TidyUploads, Uploads
from grounding.webapp.examples import ExampleImage
from grounding.webapp.guard import OwnPage, names_of
from grounding.webapp.limits import BoundedBody
from grounding.webapp.look import STYLE, theme
from grounding.webapp.page import build_page
from grounding.webapp.privacy import LocalOnly
from grounding.webapp.rate import BoundedRate

SESSIONS = 50  # users whose last values, pictures among them, Gradio keeps: a megabyte or two each
GOODBYE_SECONDS = 5  # for which an answer that is being computed may delay the end
CONNECTIONS = 1000  # beyond which requests are turned away
TIDY_SECONDS = 60  # between two looks for old uploads


class PageServer(uvicorn.Server):
    """Ends while browsers show the page: each holds a connection open, by which Gradio notices that it is gone.

    Args:
        config: uvicorn's.
        stopping: what these connections wait for.
    """

    def __init__(self, config: uvicorn.Config, stopping: Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """End the connections that would never end by themselves, then the others."""
        self._stopping.set()
        await super().shutdown(sockets)


def make_page_server(
    answerer: Answerer, examples: Sequence[ExampleImage], *, subtitle: str, folder: Path, max_bytes: int, host: str
) -> PageServer:
    """A server, ready to run, without Gradio's links to other places, its schema and its run history.

    Args:
        answerer: answers all sessions.
        examples: photos to begin with.
        subtitle: a line below the page's title.
        folder: in which Gradio keeps uploads (GRADIO_TEMP_DIR).
        max_bytes: a larger file is not taken.
        host: that the server will listen at.
    """
    page = build_page(answerer, examples, subtitle=subtitle)
    # `launch` sets it, mounting does not; without it Gradio takes any path of this machine for an uploaded file's.
    page.has_launched = True
    page.state_session_capacity = SESSIONS
    uploads = Uploads(folder, max_bytes)

    @asynccontextmanager
    async def tidying(_: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(_tidy_for_ever(uploads))
        yield
        task.cancel()

    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=tidying)
    gr.mount_gradio_app(
        outer, page, path="/", app_kwargs={"openapi_url": None}, footer_links=[], run_history=False, show_error=False,
        max_file_size=max_bytes, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, theme=theme(),
        css_paths=STYLE,
    )  # fmt: skip
    [mounted] = [route.app for route in outer.routes if isinstance(route, Mount)]
    bounded = BoundedRate(BoundedBody(TidyUploads(outer, uploads), max_bytes))
    # Without proxy_headers=False, a client would say itself which address it has.
    config = uvicorn.Config(LocalOnly(OwnPage(bounded, names_of(host))), log_level="warning", server_header=False,
                            proxy_headers=False, limit_concurrency=CONNECTIONS,
                            timeout_graceful_shutdown=GOODBYE_SECONDS)  # fmt: skip
    return PageServer(config, mounted.stop_event)  # type: ignore[attr-defined]


async def _tidy_for_ever(uploads: Uploads) -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        uploads.tidy()
