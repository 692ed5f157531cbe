from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from grounding.methods.hub_download import fetched
from tests.deployment.hub.stand_in import WRITER, HubStandIn


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubStandIn]:
    """A hub of this test's own in place of the public one, with a cache of its own; logged in as one who may write."""
    before = constants.ENDPOINT
    with HubStandIn() as stand_in:
        monkeypatch.setattr(constants, "ENDPOINT", stand_in.url)
        template = constants.HUGGINGFACE_CO_URL_TEMPLATE  # made from the endpoint at import
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template.replace(before, stand_in.url))
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("HF_TOKEN", WRITER)
        monkeypatch.chdir(tmp_path)
        fetched.cache_clear()
        yield stand_in
    fetched.cache_clear()
