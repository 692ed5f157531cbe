import contextlib
import os
import pickle
import tracemalloc

import pytest

from grounding.data.untrusted import load_plain_pickle
from grounding.runtime.errors import InputError

PLAIN = [{"ref_id": 3, "box": (1.5, -2, 10**30), "sent": "café ☂", "none": None, "flags": [True, False]}]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_data_come_back_at_every_protocol(tmp_path, protocol):
    path = tmp_path / "plain.p"
    path.write_bytes(pickle.dumps(PLAIN, protocol=protocol))
    assert load_plain_pickle(path) == PLAIN


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"(lp0\n(dp1\nS'ref_id'\np2\nL42L\nsS'sent'\np3\nV\\u00e9t\\u00e9\np4\nsa.", [{"ref_id": 42, "sent": "été"}]),
        (b"\x80\x02U\x05caf\xc3\xa9.", "café"),  # UTF-8
        (b"\x80\x02U\x04caf\xe9.", "café"),  # Latin-1
    ],
)
def test_byte_strings_and_longs_of_python_2_become_text_and_numbers(tmp_path, content, value):
    (tmp_path / "old.p").write_bytes(content)
    assert load_plain_pickle(tmp_path / "old.p") == value


class Exploit:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, protocol):
    path = tmp_path / "bad.p"
    path.write_bytes(pickle.dumps([PLAIN, Exploit(tmp_path / "ran")], protocol=protocol))
    with pytest.raises(InputError) as caught:
        load_plain_pickle(path)
    assert str(path) in str(caught.value) and f"{os.name}.mkdir" in str(caught.value)
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists(), "the file would have run code, so the test above tests something"


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"\x80\x02]q", b"\x80\xff.", b"Pan id\n.", pickle.dumps(PLAIN)[:-5]], ids=range(6)
)
def test_damaged_and_missing_files_are_input_errors_naming_the_file(tmp_path, data):
    (tmp_path / "bad.p").write_bytes(data)
    for name in ("bad", "none"):
        with pytest.raises(InputError, match=rf"{name}\.p is not a whole pickle"):
            load_plain_pickle(tmp_path / f"{name}.p")


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02]r\xff\xff\xff\x01.",  # numbers its list 2**25 - 1; unpickling in C makes room for twice as many
        b"\x80\x05\x96" + (2**29).to_bytes(8, "little") + b".",  # a bytearray of so many bytes
        b"\x80\x04\x8e" + (2**29).to_bytes(8, "little") + b".",  # bytes
    ],
    ids=["number", "bytearray", "bytes"],
)
def test_a_few_bytes_do_not_ask_for_much_memory(tmp_path, data):
    (tmp_path / "large.p").write_bytes(data)
    tracemalloc.start()
    with contextlib.suppress(InputError):
        load_plain_pickle(tmp_path / "large.p")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20
