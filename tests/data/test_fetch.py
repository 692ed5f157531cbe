"""A download over a server that breaks off, refuses, or has another version of the file by now."""

import random
import shutil

import pytest

from grounding.data.fetch import CHUNK_BYTES, fetch
from grounding.errors import InputError
from tests.local_server import LocalServer

CONTENT = random.Random(0).randbytes(8 * CHUNK_BYTES + 123)
OTHER = random.Random(1).randbytes(len(CONTENT))
DATE, LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


@pytest.fixture
def server():
    with LocalServer({"a.zip": CONTENT}) as local:
        local.versions = {"ETag": '"1"'}
        yield local


def get(server, folder, **options):
    return fetch(server.url("a.zip"), folder / "a.zip", back_off_s=0.001, **options)


def leave_part(folder, content, url, version='"1"'):
    """What a killed run leaves: a part, and the note of what it is of."""
    (folder / "a.zip.part").write_bytes(content)
    (folder / "a.zip.part.version").write_text(f"{url}\n{version}")


def assert_whole(folder):
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["a.zip"]


def ranges(server):
    return [asked for _, asked in server.requests]


def test_downloads_into_a_new_folder_once(server, tmp_path):
    folder = tmp_path / "deep" / "down"
    assert get(server, folder) == folder / "a.zip"
    (folder / "a.zip.part.version").write_text("left by a process that was killed just after the renaming")
    get(server, folder)
    assert len(server.requests) == 1
    assert_whole(folder)


@pytest.mark.parametrize(
    ("size", "fault", "asked"),
    [
        (1000, None, ["bytes=1000-"]),
        (1000, "short-range", ["bytes=1000-", f"bytes={(1000 + len(CONTENT)) // 2}-"]),
        (1000, "other-range", ["bytes=1000-", None]),
        (len(CONTENT), None, [f"bytes={len(CONTENT)}-", None]),
        (len(CONTENT) + 4, None, [f"bytes={len(CONTENT) + 4}-", None]),
    ],
)
def test_goes_on_with_the_part_of_a_killed_run(server, tmp_path, size, fault, asked):
    leave_part(tmp_path, (CONTENT + b"more")[:size], server.url("a.zip"))
    server.faults = [fault] if fault else []
    get(server, tmp_path)
    assert ranges(server) == asked
    assert_whole(tmp_path)


def test_a_server_that_ignores_range_sends_all_and_nothing_is_doubled(server, tmp_path):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"))
    server.ignore_range = True
    get(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize(
    ("version", "now"),
    [
        ('"1"', {"ETag": '"1"', "Last-Modified": DATE}),
        (DATE, {"Last-Modified": DATE}),
        (DATE, {"ETag": 'W/"1"', "Last-Modified": DATE}),
    ],
)
def test_a_part_of_the_same_version_is_gone_on_with(server, tmp_path, version, now):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"), version)
    server.versions = now
    get(server, tmp_path)
    assert ranges(server) == ["bytes=1000-"] and server.conditions == [version]
    assert_whole(tmp_path)


@pytest.mark.parametrize("ignore_condition", [False, True])
@pytest.mark.parametrize("size", [1000, len(CONTENT)])
@pytest.mark.parametrize(
    ("version", "now"),
    [
        ('"1"', {"ETag": '"2"'}),
        ('"1"', {"ETag": '"2"', "Last-Modified": DATE}),
        (DATE, {"Last-Modified": LATER}),
        ("", {"ETag": 'W/"1"'}),  # which does not say that the bytes are the same
        ("", {}),
    ],
)
def test_another_version_or_one_that_nobody_knows_is_started_anew(
    server, tmp_path, version, now, size, ignore_condition
):
    leave_part(tmp_path, OTHER[:size], server.url("a.zip"), version)
    server.versions, server.ignore_condition = now, ignore_condition
    get(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("note", [None, b"", b"\xff", b'http://127.0.0.1/other/a.zip\n"1"'])
def test_a_part_of_another_address_or_of_none_is_thrown_away(server, tmp_path, note):
    (tmp_path / "a.zip.part").write_bytes(OTHER[:1000])
    if note is not None:
        (tmp_path / "a.zip.part.version").write_bytes(note)
    get(server, tmp_path)
    assert ranges(server) == [None]
    assert_whole(tmp_path)


def test_what_a_part_is_of_is_noted_before_it_grows(server, tmp_path):
    server.faults = ["drop", 404]
    with pytest.raises(InputError, match="answered 404"):
        get(server, tmp_path)
    assert 0 < (tmp_path / "a.zip.part").stat().st_size < len(CONTENT)
    server.files["a.zip"], server.versions = OTHER, {"ETag": '"2"'}
    get(server, tmp_path)
    assert server.conditions == [None, '"1"', '"1"']
    assert (tmp_path / "a.zip").read_bytes() == OTHER


def test_dropped_connections_are_resumed_for_as_long_as_bytes_come(server, tmp_path):
    server.faults = ["drop", "drop", "drop"]
    get(server, tmp_path, patience=2)
    assert ranges(server)[0] is None
    assert all(asked.startswith("bytes=") for asked in ranges(server)[1:])
    assert_whole(tmp_path)


@pytest.mark.parametrize(("faults", "requests"), [(["overstate"], 2), (["no-length"], 1), ([429, 500], 3), ([503], 2)])
def test_what_another_try_mends_is_mended(server, tmp_path, faults, requests):
    server.faults = faults
    get(server, tmp_path)
    assert len(server.requests) == requests
    assert_whole(tmp_path)


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(server, tmp_path):
    server.ignore_range = True
    server.faults = ["drop"] * 100
    with pytest.raises(InputError, match="goes on where this one stopped"):
        get(server, tmp_path, patience=3)
    assert len(server.requests) == 4
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").exists()


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_said_at_once(server, tmp_path, status):
    server.faults = [status]
    with pytest.raises(InputError, match=f"answered {status} for {server.url('a.zip')}"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_and_a_malformed_address_are_said(tmp_path):
    with LocalServer({}) as gone:
        url = gone.url("a.zip")
    with pytest.raises(InputError, match="check address and connection"):
        fetch(url, tmp_path / "a.zip", patience=2, back_off_s=0.001)
    with pytest.raises(InputError, match="check address and connection"):
        fetch("not-an-address", tmp_path / "a.zip", back_off_s=1000)  # without waiting


def test_too_small_a_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9 - 100, 100))
    with pytest.raises(InputError, match=r"needs [\d.]+ GB .* where [\d.]+ GB are free: free some space"):
        get(server, tmp_path)
    assert not (tmp_path / "a.zip.part").exists()
