"""The page's methods, loaded once, and the page itself, served once for all tests of a process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from grounding.methods.config import ModelConfig
from grounding.methods.proposals import ProposalsConfig
from grounding.runtime.lru_cache import LRUCache
from grounding.webapp.answers import Answerer, PageMethod, load_methods
from grounding.webapp.serving import ServeConfig, launch
from grounding.webapp.uploads import Photo, receive

MAX_MEGABYTES, MAX_PIXELS = 1, 200_000
METHODS = ["refshapes", "zero-shot", "gradcam", "yolo-clip", "reclip"]


@pytest.fixture(scope="session")
def methods() -> dict[str, PageMethod]:
    return load_methods(METHODS, ModelConfig(), ProposalsConfig(), "cpu")


@pytest.fixture
def answerer(methods) -> Answerer:
    return Answerer(methods, LRUCache(2**28))


@pytest.fixture(scope="session")
def uploads(tmp_path_factory) -> Path:
    """The folder of the served page, for what its users upload."""
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="session")
def url(uploads: Path) -> Iterator[str]:
    """The address of a served page."""
    config = ServeConfig(
        METHODS, port=0, device="cpu", max_megabytes=MAX_MEGABYTES, max_pixels=MAX_PIXELS, memory_megabytes=64
    )
    page, address = launch(config, uploads)
    yield address
    page.close(verbose=False)


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """What a test's own page sets for its process, such as the folder of uploads, is not left to the shared page."""
    with mock.patch.dict(os.environ):
        yield


@pytest.fixture
def photo_file(tmp_path: Path) -> Path:
    """Coloured rectangles on noise, 150 x 110 pixels."""
    return write_photo(tmp_path / "street.png", seed=0)


def given(path: Path) -> Photo:
    """A photo, as the page receives it."""
    return receive(path, max_pixels=MAX_PIXELS)


def write_photo(path: Path, *, seed: int, size: tuple[int, int] = (150, 110)) -> Path:
    """A picture of three coloured rectangles on noise, another one for every seed; returns its path."""
    rng = np.random.default_rng(seed)
    image = rng.integers(60, 120, (size[1], size[0], 3), dtype=np.uint8)
    for colour in ((205, 40, 40), (45, 80, 205), (45, 150, 60)):
        x, y = rng.integers(0, size[0] - 40), rng.integers(0, size[1] - 30)
        image[y : y + 28, x : x + 36] = colour
    Image.fromarray(image).save(path)
    return path
