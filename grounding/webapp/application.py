"""The page as an ASGI application that asks nobody but itself."""

from __future__ import annotations

from collections.abc import Sequence

import gradio as gr
from fastapi import FastAPI

from grounding.webapp.answers import Answerer
from grounding.webapp.examples import ExampleImage
from grounding.webapp.look import STYLE, theme
from grounding.webapp.page import build_page
from grounding.webapp.privacy import LocalOnly


def make_application(
    answerer: Answerer, examples: Sequence[ExampleImage], *, subtitle: str, max_bytes: int
) -> LocalOnly:
    """Gradio's application around the page, without its links to other places, its schema and its run history.

    Args:
        answerer: answers all sessions.
        examples: photos to begin with.
        subtitle: a line below the page's title.
        max_bytes: a larger file is not taken.
    """
    page = build_page(answerer, examples, subtitle=subtitle)
    outer = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        outer, page, path="/", app_kwargs={"openapi_url": None}, footer_links=[], run_history=False, show_error=False,
        max_file_size=max_bytes, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False, theme=theme(),
        css_paths=STYLE,
    )  # fmt: skip
    return LocalOnly(outer)
