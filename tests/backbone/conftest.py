import pytest
from clip.model import CLIP

from tests.tiny_clip import tiny_clip


@pytest.fixture(scope="module")
def model() -> CLIP:
    return tiny_clip()
