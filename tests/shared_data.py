"""The real sample data that lie beside the checkout on some machines, and the mark for tests that need them."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def needs_shared_data(name: str) -> pytest.MarkDecorator:
    """Skips the test, saying so, where `SHARED_DATA / name` does not exist."""
    folder = SHARED_DATA / name
    return pytest.mark.skipif(not folder.exists(), reason=f"real sample data not on this machine: {folder}")
