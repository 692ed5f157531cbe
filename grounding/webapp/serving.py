"""`visualize.py serve`: the page on this machine, until it is stopped."""

from __future__ import annotations

import os
import signal
import socket
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Literal

from accelerate import Accelerator
from pydantic import NonNegativeInt, PositiveInt

from grounding.clip_backbone import EMBEDDED
from grounding.config import ModelConfig
from grounding.errors import InputError
from grounding.loading import TRAINING_FREE, folder_of, read_model_config
from grounding.memory import Memory
from grounding.proposals.loading import ProposalsConfig
from grounding.webapp.answers import Answerer
from grounding.webapp.arenas import use_few_arenas
from grounding.webapp.examples import from_data, generated
from grounding.webapp.methods import load_methods

if TYPE_CHECKING:
    from grounding.webapp.application import PageServer

BACKLOG = 128
LAST_PORT = 65535


@dataclass(frozen=True)
class ServeConfig:
    """Serve a web page that grounds phrases in photos, on this machine only unless told otherwise.

    Attributes:
        run: folder of a training run, "refshapes", or "zero-shot", "gradcam", "yolo-clip", "reclip".
        host: address to listen at; "0.0.0.0" lets other machines in.
        port: to listen at; 0 takes any free one.
        data: root folder of a data set in RefCOCOg's layout, whose images are the examples; without it, generated
            scenes are.
        split_by: who made the split: "umd" or "google" (RefCOCOg), "unc" (RefCOCO, RefCOCO+).
        split: split of the examples.
        model: the CLIP and its input size for training-free methods; a run brings its own.
        proposals: the detector of "yolo-clip" and "reclip".
        device: "auto" (a GPU if there is one) or "cpu".
        max_megabytes: a larger file is not taken.
        max_pixels: an image with more pixels is refused before it is decoded.
        memory_megabytes: for images, their encodings and heatmaps, of all users together.
    """

    run: str
    host: str = "127.0.0.1"
    port: NonNegativeInt = 7860
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
    """Answer until interrupted; uploads are kept in a temporary folder that is removed at the end.

    Raises:
        InputError: the address cannot be used, or the run, the detector or the data set.
    """
    use_few_arenas()
    # Uploads must not outlive the server, however it is stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        suppress(KeyboardInterrupt),
        listening(config.host, int(config.port)) as address,
        TemporaryDirectory(prefix="grounding-") as folder,
    ):
        server = make_server(config, Path(folder))
        host, port = address.getsockname()[:2]
        print(f"http://{f'[{host}]' if ':' in host else host}:{port}/ serves {config.run}; Ctrl+C stops it", flush=True)
        server.run(sockets=[address])


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens at an address.

    Raises:
        InputError: the address is taken, is none of this machine's, or needs rights that the user lacks.
    """
    try:
        if port > LAST_PORT:  # which getaddrinfo would take for what its last sixteen bits say
            raise OverflowError
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
    except (OSError, OverflowError) as error:
        raise InputError(f"host {host!r} with port {port} is no address: give --host 127.0.0.1 --port 7860") from error
    if os.name == "posix":  # elsewhere the option lets two programs share a port
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        opened.close()
        raise InputError(
            f"port {port} of {host} cannot be used ({error.strerror}): give another --port, such as {port + 1}, "
            "or --port 0 for any free one"
        ) from error
    return opened


def make_server(config: ServeConfig, folder: Path) -> PageServer:
    """The server, ready to run; Gradio is imported here, with what it would report switched off.

    Args:
        config: what to serve; to listen at its address is left to the caller.
        folder: for uploads and generated examples.

    Raises:
        InputError: the run, the detector or the data set cannot be used.
    """
    device = Accelerator(cpu=config.device == "cpu").device
    methods = load_methods(config.run, config.model, config.proposals, device)
    if config.data is not None:
        examples = from_data(config.data, split_by=config.split_by, split=config.split)
    else:
        examples = generated(folder / "examples")
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1", GRADIO_TEMP_DIR=str(folder))
    from grounding.webapp.application import make_page_server

    answerer = Answerer(methods, Memory(int(config.memory_megabytes) * 2**20), max_pixels=int(config.max_pixels))
    first = next(iter(methods.values())).grounder
    return make_page_server(answerer, examples, subtitle=subtitle(config, first.weights), folder=folder,
                            max_bytes=int(config.max_megabytes) * 2**20, host=config.host)  # fmt: skip


def subtitle(config: ServeConfig, weights: str) -> str:
    """What is served, with a warning where the CLIP would only make nonsense of photographs."""
    model = config.model if config.run in TRAINING_FREE else read_model_config(folder_of(config.run))
    warning = "; it knows generated shapes, not photographs" if model.clip == EMBEDDED else ""
    return f"{config.run}: {weights}{warning}"
