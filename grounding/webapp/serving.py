"""`visualize.py serve`: the page on this machine, until it is stopped."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from pydantic import NonNegativeInt, PositiveInt

from grounding.methods.config import ModelConfig
from grounding.methods.own import MethodName, MethodNames, given_by_name
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import join_launch
from grounding.runtime.errors import InputError
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer, knows_photographs, load_methods
from grounding.webapp.uploads import examples_for, examples_from_data

if TYPE_CHECKING:
    import gradio as gr

SESSIONS = 50  # users whose last values, pictures among them, Gradio keeps: five megabytes or less each


@dataclass(frozen=True)
class ServeConfig:
    """Serve a web page that grounds phrases in photos, on this machine only unless told otherwise.

    Attributes:
        run: folder of a training run, "refshapes", "RN50" or another CLIP's file, "zero-shot", "gradcam", "yolo-clip",
            "reclip", or "package.module:Class" of a method of your own; or several, to choose from.
        host: address to listen at; "0.0.0.0" lets other machines in.
        port: to listen at; 0 takes the first free one from 7860 on.
        auth: USER:PASSWORD that the page asks for; without it, whoever reaches the address may use it.
        data: a data set, a folder or a table (docs/data.md), whose images are the examples; without it, they are what
            the weights know: a photograph, generated scenes, or both. A command line takes the run's own where it is
            there.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split of the examples.
        model: the CLIP and its input size for training-free methods where no run and no CLIP is named.
        proposals: the detector of "yolo-clip" and "reclip".
        device: "auto" (a GPU if there is one) or "cpu".
        max_megabytes: a larger file is not taken.
        max_pixels: an image with more pixels is refused before it is decoded.
        memory_megabytes: for images, their encodings and heatmaps, of all users together.
    """

    run: MethodNames | MethodName
    host: str = "127.0.0.1"
    port: NonNegativeInt = 7860
    auth: str | None = None
    data: Path | None = None
    split_by: str = "umd"
    split: str = "test"
    model: ModelConfig = field(default_factory=ModelConfig)
    proposals: ProposalsConfig = field(default_factory=ProposalsConfig)
    device: Literal["auto", "cpu"] = "auto"
    max_megabytes: PositiveInt = 20
    max_pixels: PositiveInt = 25_000_000
    memory_megabytes: PositiveInt = 1024


def serve(config: ServeConfig) -> None:
    """Answer until interrupted; uploads are kept in a temporary folder that is removed at the end."""
    # Uploads must not outlive the server, however it is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt), TemporaryDirectory(prefix="grounding-") as folder:
        page, url = launch(config, Path(folder))
        try:
            print(f"{url} serves {', '.join(map(str, runs_of(config.run)))}; Ctrl+C stops it", flush=True)
            while page.is_running:
                time.sleep(0.5)
        finally:
            page.close(verbose=False)


def launch(config: ServeConfig, folder: Path) -> tuple[gr.Blocks, str]:
    """The page, which answers until it is closed, and its address; Gradio is imported here. `folder` is for uploads."""
    runs = runs_of(config.run)
    refuse_wrong_values(replace(config, run=given_by_name(runs)))
    user, _, password = (config.auth or "").partition(":")
    if config.auth is not None and not (user.strip() and password):  # the sentence does not repeat the other
        raise InputError("auth lacks a user or a password: give --auth USER:PASSWORD")
    auth = None if config.auth is None else (user.strip(), password)
    methods = load_methods(runs, config.model, config.proposals, join_launch(config.device).device)
    if config.data is not None:
        examples = examples_from_data(config.data, split_by=config.split_by, split=config.split)
    else:
        knowing = [knows_photographs(method) for method in methods.values()]
        examples = examples_for(folder / "examples", photographs=any(knowing), drawings=not all(knowing))
    # Gradio reports nothing, and asks its own address without any proxy whether it is up.
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", GRADIO_TEMP_DIR=str(folder),
                      no_proxy="*", NO_PROXY="*")  # fmt: skip
    from starlette.middleware import Middleware

    from grounding.webapp.guard import RequestGuard
    from grounding.webapp.page import STYLE, build_page, theme

    answerer = Answerer(methods, LRUCache(int(config.memory_megabytes) * 2**20))
    page = build_page(answerer, examples, max_pixels=int(config.max_pixels))
    max_bytes = int(config.max_megabytes) * 2**20
    guard = Middleware(RequestGuard, host=config.host, max_bytes=max_bytes)
    try:
        _, url, _ = page.launch(
            server_name=f"[{config.host}]" if ":" in config.host else config.host,  # of IPv6
            server_port=int(config.port) or None, auth=auth, max_file_size=max_bytes, theme=theme(), css_paths=STYLE,
            app_kwargs={"middleware": [guard], "docs_url": None, "redoc_url": None, "openapi_url": None},
            state_session_capacity=SESSIONS, prevent_thread_lock=True, quiet=True, inline=False, share=False,
            footer_links=[], run_history=False, ssr_mode=False, pwa=False, mcp_server=False, enable_monitoring=False,
        )  # fmt: skip
    except (OSError, OverflowError) as error:
        raise InputError(
            f"port {config.port} of {config.host} cannot be used: give another --port, --port 0 for the first free "
            "one, or --host 127.0.0.1"
        ) from error
    return page, url


def runs_of(run: MethodName | MethodNames) -> list[MethodName]:
    """What is served, one or several, as a list in which each is once."""
    return list(dict.fromkeys(run)) if isinstance(run, Sequence) and not isinstance(run, str) else [run]
