"""A download over a server that breaks off, refuses, or has another version of the file by now."""

import os
import random
import time

import pytest

from grounding.runtime import download
from grounding.runtime.download import CHUNK_BYTES, fetch
from grounding.runtime.errors import InputError
from tests.local_server import LocalServer

CONTENT = random.Random(0).randbytes(8 * CHUNK_BYTES + 123)
OTHER = random.Random(1).randbytes(len(CONTENT))


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "BACK_OFF_S", 0.001)
    with LocalServer({"a.zip": CONTENT}) as local:
        yield local


def leave_part(server, folder, content):
    """What a killed run leaves: a part, by the name that such a run gives it."""
    server.faults = ["drop", 404]
    with pytest.raises(InputError, match="404"):
        fetch(server.url("a.zip"), folder)
    server.requests.clear()
    next(folder.iterdir()).write_bytes(content)


def assert_fetched(server, folder, *ranges, content=CONTENT):
    """The file comes, whole and alone, by requests of these ranges."""
    assert fetch(server.url("a.zip"), folder) == folder / "a.zip"
    assert [path.name for path in folder.iterdir()] == ["a.zip"]
    assert (folder / "a.zip").read_bytes() == content
    assert [asked for _, asked in server.requests] == list(ranges)


@pytest.mark.parametrize(
    ("size", "fault", "asked"),
    [
        (0, None, [None]),
        (1000, None, ["bytes=1000-"]),
        (1000, "other-range", ["bytes=1000-", None]),
        (len(CONTENT), None, [f"bytes={len(CONTENT)}-", None]),
        (len(CONTENT) + 4, None, [f"bytes={len(CONTENT) + 4}-", None]),
        (1000, "ignored", ["bytes=1000-"]),  # the range: all is sent, and nothing is doubled
    ],
)
def test_goes_on_with_the_part_of_a_killed_run(server, tmp_path, size, fault, asked):
    leave_part(server, tmp_path, (CONTENT + b"more")[:size])
    server.ignore_range = fault == "ignored"
    server.faults = ["other-range"] if fault == "other-range" else []
    assert_fetched(server, tmp_path, *asked)


def test_a_part_of_a_file_that_was_changed_since_is_started_anew(server, tmp_path):
    leave_part(server, tmp_path, CONTENT[:1000])
    os.utime(next(tmp_path.iterdir()), (time.time() - 3600,) * 2)
    server.files["a.zip"], server.modified = OTHER, time.time() - 1800
    assert_fetched(server, tmp_path, "bytes=1000-", None, content=OTHER)


def test_a_part_of_another_address_is_left_alone(server, tmp_path):
    leave_part(server, tmp_path, OTHER[:1000])
    part = next(tmp_path.iterdir())
    server.files["elsewhere/a.zip"] = CONTENT
    fetch(server.url("elsewhere/a.zip"), tmp_path)
    assert server.requests == [("elsewhere/a.zip", None)]
    assert (tmp_path / "a.zip").read_bytes() == CONTENT and part.read_bytes() == OTHER[:1000]


def test_dropped_connections_are_resumed_for_as_long_as_bytes_come(server, tmp_path):
    server.faults = ["drop", "drop", "drop"]
    fetch(server.url("a.zip"), tmp_path, tries=2)
    first, *others = (asked for _, asked in server.requests)
    assert first is None and len(others) == 3 and all(asked.startswith("bytes=") for asked in others)
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


@pytest.mark.parametrize(("faults", "requests"), [(["overstate"], 2), (["no-length"], 1), ([429, 500], 3), ([503], 2)])
def test_what_another_try_mends_is_mended(server, tmp_path, faults, requests):
    server.faults = faults
    fetch(server.url("a.zip"), tmp_path)
    assert len(server.requests) == requests
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(server, tmp_path):
    server.ignore_range = True
    server.faults = ["drop"] * 100
    with pytest.raises(InputError, match="goes on where this one stopped"):
        fetch(server.url("a.zip"), tmp_path, tries=3)
    assert len(server.requests) == 4
    assert [path.suffix for path in tmp_path.iterdir()] == [".part"]


def test_a_refusal_an_absent_server_and_a_malformed_address_are_said(server, tmp_path, monkeypatch):
    server.faults = [403]
    with pytest.raises(InputError, match=rf"{server.url('a.zip')} could not be downloaded \(403 "):
        fetch(server.url("a.zip"), tmp_path)
    assert len(server.requests) == 1, "at once"
    with LocalServer({}) as gone:
        url = gone.url("a.zip")
    with pytest.raises(InputError, match="check address and connection"):
        fetch(url, tmp_path)
    monkeypatch.setattr(download, "BACK_OFF_S", 1000)
    with pytest.raises(InputError, match="check address and connection"):
        fetch("not-an-address", tmp_path)  # without waiting
