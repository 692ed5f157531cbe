"""The trials themselves: they see what goes wrong, and the page says what they recorded."""

from __future__ import annotations

import json
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from unittest.mock import Mock

import pytest

from grounding import InputError
from grounding.webapp.events import UNEXPECTED
from grounding.webapp.pictures import error_line
from reliability import soak
from reliability.attempts import Attempt, run
from reliability.chaos import killed
from reliability.page import BEGIN, END, PAGE, RESULTS, Row, record, tables, write_page
from reliability.page_session import Refused
from reliability.soak import _growth
from reliability.works import Work

COUNT = """import pathlib, sys, time
path = pathlib.Path(sys.argv[1]) / "count.txt"
done = int(path.read_text() or 0) if path.exists() else 0
for number in range(done, 20):
    time.sleep(0.02)
    {write}
"""
WHOLE = 'path.with_suffix(".new").write_text(str(number + 1)); path.with_suffix(".new").replace(path)'
CARELESS = 'path.write_text("" if number % 2 else str(number + 1))'  # it loses count where it is killed


@pytest.mark.parametrize(("write", "wrong"), [(WHOLE, False), (CARELESS, True)])
def test_kills_tell_careful_work_from_careless(tmp_path: Path, write: str, wrong: bool) -> None:
    script = tmp_path / "count.py"
    script.write_text(COUNT.format(write=write))
    work = Work("counting", lambda _, output: [script, output], lambda output: {"": (output / "count.txt").read_text()},
                "the count")  # fmt: skip
    (tmp_path / "out").mkdir()
    row = killed(work, tmp_path, tmp_path / "out", {"": "20"}, 0.4, 8, 0)
    assert row.tried == 8 and (row.wrong > 0) == wrong
    assert sum(row.counts.values()) == 8 - row.wrong


def test_work_that_fails_where_nobody_killed_it_is_wrong(tmp_path: Path) -> None:
    script = tmp_path / "fail.py"
    script.write_text("raise SystemExit(1)")
    work = Work("failing", lambda _, output: [script, output], lambda output: {}, "nothing")
    row = killed(work, tmp_path, tmp_path, {}, 60.0, 2, 0)  # it ends long before its killer comes
    assert row.wrong == 2 and row.detail.startswith("in 2 runs")


def test_an_attempt_ends_in_words_or_does_not(tmp_path: Path) -> None:
    script, log = tmp_path / "script.py", tmp_path / "log"
    script.write_text("import sys; print('error: so it is', file=sys.stderr); sys.exit(2)")
    assert run([script], log).in_words
    script.write_text("raise OSError('no')")
    assert not run([script], log).in_words
    assert not Attempt(2, 0, "error: one\nerror without a colon").in_words


def test_memory_that_grows_is_seen() -> None:
    flat = [100.0] * 20 + [500.0] * 80  # memories fill at the start
    assert _growth(flat)[0] == 1
    assert _growth([100 + step for step in range(100)])[0] > 1.05


@pytest.mark.parametrize("ask", [soak._path, soak._too_large, soak._broken, soak._long])
def test_what_should_have_been_refused_is_seen(tmp_path: Path, ask: Callable[..., str]) -> None:
    """By a session with a page that takes whatever it is given, and fails at it."""
    careless = Mock(values={"status": error_line(UNEXPECTED)}, status=UNEXPECTED.capitalize())
    careless.upload.return_value.status_code = 500
    with pytest.raises(Refused):
        ask(careless, tmp_path, random.Random(0))


def test_a_page_that_is_gone_is_seen(tmp_path: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and does not listen
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
        wrong: list[str] = []
        counts: Counter[str] = Counter()
        ends = time.monotonic() + 0.2
        soak._client(url, tmp_path / "client", 0, ends, counts, wrong)
    assert not counts and "ConnectionError" in wrong[0]


def test_the_page_says_what_was_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results, page = tmp_path / "results.json", tmp_path / "page.md"
    record("chaos", [Row("a | b", 1000, {"survived": 999}, 1, "x | y")], command="make it", path=results)
    record("soak", [Row("page", 5, {"answered": 5}, 0, "flat")], command="make it", path=results)
    page.write_text(f"before\n{BEGIN}\n{END}\nafter\n")
    write_page(results, page)
    text = page.read_text()
    assert "| 1,000 " in text and "999 survived" in text and "x \\| y" in text and "### soak" in text
    assert text.startswith("before\n") and text.endswith("after\n")
    with pytest.raises(InputError, match="make chaos"):
        write_page(tmp_path / "none.json", page)


def test_the_project_s_page_is_of_its_results() -> None:
    text = PAGE.read_text(encoding="utf-8")
    between = text[text.index(BEGIN) + len(BEGIN) + 1 : text.index(END)]
    recorded = json.loads(RESULTS.read_text(encoding="utf-8"))
    assert between.rstrip("\n") == tables(recorded).rstrip("\n")
