import pytest

from tests.data.refcocog.records import make_records, write


@pytest.fixture
def records():
    return make_records()


@pytest.fixture
def root(tmp_path, records):
    return write(tmp_path / "data", *records)
