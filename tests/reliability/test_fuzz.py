"""A few hundred spoilt files for each reader of strangers' files, and that the trial notices what must not happen."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import pytest

from grounding.runtime.errors import InputError
from reliability import trying
from reliability.fuzz import fuzz
from reliability.readers import make_readers
from reliability.trying import MOST_BYTES, READ, REFUSED, WARNED, Trial

INPUTS = 80
NAMES = (
    *("unpickler", "annotation reader", "image opener", "configuration reader", "archives"),
    *("predictions", "requests in bulk", "phrases"),
)


@pytest.mark.parametrize("name", NAMES)
def test_spoilt_files_are_read_or_refused_in_words(tmp_path: Path, name: str) -> None:
    reader = make_readers(tmp_path)[name]
    fuzz(reader, INPUTS, seed=1, hide_progress=True)
    assert not reader.trial.wrong
    assert sum(reader.trial.counts.values()) == INPUTS + len(reader.seeds)
    assert reader.trial.counts[REFUSED] > INPUTS / 20, "the files are spoilt"


def test_right_files_are_read(tmp_path: Path) -> None:
    readers = make_readers(tmp_path)
    assert set(readers) == set(NAMES)
    for reader in readers.values():
        for data in reader.seeds:
            reader.trial.give(data)
        assert reader.trial.counts == {READ: len(reader.seeds)}, reader.trial.wrong


def ends(folder: Path, data: bytes) -> None:
    """A reader that ends as its input says."""
    word, _, sentence = data.decode("utf-8", "surrogatepass").partition(" ")
    if word == "refuse":
        raise InputError(sentence.replace("HERE", str(folder)))
    if word == "warn":
        warnings.warn(sentence.replace("HERE", str(folder)), stacklevel=2)
    if word == "fail":
        raise KeyError(sentence)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"read", ""),
        (b"refuse HERE/a.png is damaged: get it again", ""),
        (b"warn HERE/a.png ends early", ""),
        (b"fail at once", "KeyError: 'at once'"),
        (b"refuse it is damaged", "its sentence names no file"),
        (b"warn it ends early", "its sentence names no file"),
        (b"warn HERE/a.png\nends early", "more than a line of text"),
        (b"warn HERE/a.png holds \x1b[31m", "more than a line of text"),
        (b"warn HERE" + 1100 * b"x", "letters"),
        (b"refuse HERE (MemoryError: )", "is of memory"),
    ],
)
def test_the_trial_notices(tmp_path: Path, data: bytes, fault: str) -> None:
    trial = Trial("made up", lambda given: ends(tmp_path, given), tmp_path)
    found = trial.give(data, keep_in=tmp_path / "wrong")
    assert fault in found if fault else not found
    assert [path.read_bytes() for path in (tmp_path / "wrong").glob("*")] == ([data] if fault else [])
    expected = {"read": READ, "refuse": REFUSED, "warn": WARNED}.get(data.decode().split()[0], "")
    assert trial.counts == {"wrong" if fault else expected: 1}


def test_the_trial_notices_time_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trial = Trial("made up", lambda given: None, tmp_path)
    monkeypatch.setattr(trying, "peak_memory", iter([0, MOST_BYTES, 0, MOST_BYTES + 2**20]).__next__)
    assert not trial.give(b"")
    assert trial.give(b"") == "it took 513 MB"
    monkeypatch.setattr(trying, "peak_memory", lambda: 0)
    monkeypatch.setattr(time, "process_time", iter([0.0, 4.0, 0.0, 6.0]).__next__)
    assert not trial.give(b"")
    assert trial.give(b"") == "it took 6 seconds"
