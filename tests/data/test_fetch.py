import hashlib
import json
import random
import shutil

import pytest

from grounding.data.fetch import CHUNK_BYTES, fetch
from grounding.errors import InputError
from tests.local_server import LocalServer

CONTENT = random.Random(0).randbytes(8 * CHUNK_BYTES + 123)


@pytest.fixture
def server():
    with LocalServer({"a.zip": CONTENT}) as local:
        yield local


def get(server, folder, **options):
    return fetch(server.url("a.zip"), folder / "a.zip", back_off_s=0.001, **options)


def leave_part(folder, content, url, **versions):
    """What a killed run leaves: a part, and the note of what it is of."""
    (folder / "a.zip.part").write_bytes(content)
    (folder / "a.zip.part.json").write_text(json.dumps({"url": url, **versions}))


def assert_whole(folder):
    assert (folder / "a.zip").read_bytes() == CONTENT
    assert [path.name for path in folder.iterdir()] == ["a.zip"]


def ranges(server):
    return [asked for _, asked in server.requests]


def test_downloads_a_file_into_a_new_folder(server, tmp_path):
    assert get(server, tmp_path / "deep" / "down") == tmp_path / "deep" / "down" / "a.zip"
    assert_whole(tmp_path / "deep" / "down")


def test_a_file_that_is_there_is_not_asked_for_again(server, tmp_path):
    get(server, tmp_path)
    get(server, tmp_path)
    assert len(server.requests) == 1


def test_goes_on_with_the_part_of_a_killed_run(server, tmp_path):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"))
    get(server, tmp_path)
    assert ranges(server) == ["bytes=1000-"]
    assert_whole(tmp_path)


def test_a_range_that_ends_early_is_not_the_end_of_the_file(server, tmp_path):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"))
    server.faults = ["short-range"]
    get(server, tmp_path)
    assert ranges(server) == ["bytes=1000-", f"bytes={(1000 + len(CONTENT)) // 2}-"]
    assert_whole(tmp_path)


def test_a_server_that_ignores_range_sends_all_and_nothing_is_doubled(server, tmp_path):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"))
    server.ignore_range = True
    get(server, tmp_path)
    assert_whole(tmp_path)


def test_a_whole_part_only_gets_its_name(server, tmp_path):
    leave_part(tmp_path, CONTENT, server.url("a.zip"))
    get(server, tmp_path)
    assert ranges(server) == [f"bytes={len(CONTENT)}-"]
    assert_whole(tmp_path)


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    leave_part(tmp_path, CONTENT + b"more", server.url("a.zip"))
    get(server, tmp_path)
    assert ranges(server) == [f"bytes={len(CONTENT) + 4}-", None]
    assert_whole(tmp_path)


def test_another_range_than_asked_for_is_not_appended(server, tmp_path):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"))
    server.faults = ["other-range"]
    get(server, tmp_path)
    assert ranges(server) == ["bytes=1000-", None]
    assert_whole(tmp_path)


OTHER = random.Random(1).randbytes(len(CONTENT))
DATE, LATER = "Mon, 01 Jan 2024 00:00:00 GMT", "Tue, 02 Jan 2024 00:00:00 GMT"


@pytest.mark.parametrize(
    ("noted", "now", "condition"),
    [
        ({"etag": '"1"', "modified": DATE}, {"ETag": '"1"', "Last-Modified": DATE}, '"1"'),
        ({"modified": DATE}, {"Last-Modified": DATE}, DATE),
        ({"etag": 'W/"1"', "modified": DATE}, {"ETag": 'W/"1"', "Last-Modified": DATE}, DATE),
        ({"etag": 'W/"1"'}, {"ETag": 'W/"1"'}, None),
        ({}, {}, None),
    ],
)
def test_a_part_of_the_same_file_is_gone_on_with(server, tmp_path, noted, now, condition):
    leave_part(tmp_path, CONTENT[:1000], server.url("a.zip"), **noted)
    server.versions = now
    get(server, tmp_path)
    assert ranges(server) == ["bytes=1000-"] and server.conditions == [condition]
    assert_whole(tmp_path)


@pytest.mark.parametrize("ignore_condition", [False, True])
@pytest.mark.parametrize("size", [1000, len(CONTENT)])
@pytest.mark.parametrize(
    ("noted", "now"),
    [
        ({"etag": '"1"'}, {"ETag": '"2"'}),
        ({"etag": '"1"', "modified": DATE}, {"ETag": '"2"', "Last-Modified": DATE}),
        ({"modified": DATE}, {"Last-Modified": LATER}),
        ({"etag": 'W/"1"'}, {"ETag": 'W/"2"'}),
    ],
)
def test_a_file_that_has_changed_is_started_again(server, tmp_path, noted, now, size, ignore_condition):
    leave_part(tmp_path, OTHER[:size], server.url("a.zip"), **noted)
    server.versions, server.ignore_condition = now, ignore_condition
    get(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("note", [None, "", "[]", "{}", '{"url": 1}', '{"url": "http://127.0.0.1/other/a.zip"}'])
def test_a_part_of_another_address_or_of_none_is_thrown_away(server, tmp_path, note):
    (tmp_path / "a.zip.part").write_bytes(OTHER[:1000])
    if note is not None:
        (tmp_path / "a.zip.part.json").write_text(note)
    get(server, tmp_path)
    assert ranges(server) == [None]
    assert_whole(tmp_path)


def test_what_a_part_is_of_is_noted_before_it_grows(server, tmp_path):
    server.versions = {"ETag": '"1"'}
    server.faults = ["drop", 404]
    with pytest.raises(InputError, match="answered 404"):
        get(server, tmp_path)
    assert 0 < (tmp_path / "a.zip.part").stat().st_size < len(CONTENT)
    server.files["a.zip"], server.versions = OTHER, {"ETag": '"2"'}
    get(server, tmp_path)
    assert server.conditions == [None, '"1"', '"1"']
    assert (tmp_path / "a.zip").read_bytes() == OTHER


def test_a_note_that_a_killed_run_left_beside_the_whole_file_goes(server, tmp_path):
    get(server, tmp_path)
    (tmp_path / "a.zip.part.json").write_text("{}")
    get(server, tmp_path)
    assert_whole(tmp_path)


def test_dropped_connections_are_resumed_for_as_long_as_bytes_come(server, tmp_path):
    server.faults = ["drop", "drop", "drop"]
    get(server, tmp_path, patience=2)
    assert ranges(server)[0] is None
    assert all(asked.startswith("bytes=") for asked in ranges(server)[1:])
    assert_whole(tmp_path)


def test_a_body_shorter_than_announced_is_not_taken_for_whole(server, tmp_path):
    server.faults = ["overstate"]
    get(server, tmp_path)
    assert len(server.requests) == 2
    assert_whole(tmp_path)


def test_a_server_that_always_breaks_off_at_one_place_is_given_up(server, tmp_path):
    server.ignore_range = True
    server.faults = ["drop"] * 100
    with pytest.raises(InputError, match="goes on where this one stopped"):
        get(server, tmp_path, patience=3)
    assert len(server.requests) == 4
    assert not (tmp_path / "a.zip").exists()
    assert (tmp_path / "a.zip.part").exists()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, tmp_path, status):
    server.faults = [status, status]
    get(server, tmp_path)
    assert_whole(tmp_path)


def test_an_unannounced_length_is_fine(server, tmp_path):
    server.faults = ["no-length"]
    get(server, tmp_path)
    assert_whole(tmp_path)


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_said_at_once(server, tmp_path, status):
    server.faults = [status]
    with pytest.raises(InputError, match=f"answered {status} for {server.url('a.zip')}"):
        get(server, tmp_path)
    assert len(server.requests) == 1


def test_a_server_that_is_not_there_is_said(tmp_path):
    with LocalServer({}) as gone:
        url = gone.url("a.zip")
    with pytest.raises(InputError, match="check the connection"):
        fetch(url, tmp_path / "a.zip", patience=2, back_off_s=0.001)


def test_a_malformed_address_is_said(tmp_path):
    with pytest.raises(InputError, match="correct the address"):
        fetch("not-an-address", tmp_path / "a.zip")


def test_the_checksum_decides_new_and_old_files(server, tmp_path):
    right = hashlib.sha256(CONTENT).hexdigest()
    get(server, tmp_path, sha256=right.upper())
    get(server, tmp_path, sha256=right)
    with pytest.raises(InputError, match="instead of 0000"):
        get(server, tmp_path, sha256="0" * 64)
    with pytest.raises(InputError, match="was removed"):
        get(server, tmp_path, sha256="0" * 64)  # downloaded anew, with a note
    assert list(tmp_path.iterdir()) == []


def test_too_small_a_disk_is_said_before_anything_is_written(server, tmp_path):
    too_much = shutil.disk_usage(tmp_path).free + 10**9
    with pytest.raises(InputError, match=r"needs [\d.]+ GB .* where [\d.]+ GB are free"):
        get(server, tmp_path, reserve_bytes=too_much)
    assert list(tmp_path.iterdir()) == []
    get(server, tmp_path)
    with pytest.raises(InputError, match="free some space"):
        get(server, tmp_path, reserve_bytes=too_much)
