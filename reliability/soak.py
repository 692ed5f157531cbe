"""Long use of the page: `make soak`, or `python -m reliability.soak`.

It runs in a process of its own, under ten clients that ask well and badly by turns. Memory must not grow: the highest
of the second half of the time is held against that of the first half after the start, in which memories fill.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import psutil
import requests
from PIL import Image

from benchmarks.measuring import run
from grounding.webapp.events import UNEXPECTED
from grounding.webapp.guard import ONLY_UPLOADED
from reliability.attempts import ROOT
from reliability.page import Row, record
from reliability.page_session import Refused, Session

CLIENTS = 10
MEGABYTES = 1  # an upload's limit
MEMORY_MEGABYTES = 64  # of the page's memories
SETTLED = 0.2  # share of the time after which memories have filled
GROWTH = 1.05  # above this the memory counts as growing
SAMPLES_PER_SECOND = 2
SECONDS_TO_END = 60
SIDE = 96  # pixels of the images


def main(minutes: float = 10, seed: int = 0) -> None:
    """Use the page for long, and record it.

    Args:
        minutes: of its use.
        seed: of questions and images.
    """
    with TemporaryDirectory() as folder:
        row = page_under_clients(Path(folder), minutes, seed)
    record("soak", [row], command=f"python -m reliability.soak --minutes {minutes:g} --seed {seed}")


def page_under_clients(folder: Path, minutes: float, seed: int) -> Row:
    """Ten clients for some minutes: good questions answered, bad ones refused in words, flat memory, no file left."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "visualize.py", "serve", "refshapes", "--port", str(port), "--device", "cpu",
               "--max_megabytes", str(MEGABYTES), "--memory_megabytes", str(MEMORY_MEGABYTES)]  # fmt: skip
    with (folder / "page.log").open("w") as log:
        page = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env={**os.environ, "TMPDIR": str(temporary)})
    url = f"http://127.0.0.1:{port}/"
    _until_it_answers(url, page, folder / "page.log")
    counts: Counter[str] = Counter()
    wrong: list[str] = []
    ends = time.monotonic() + 60 * minutes
    clients = [threading.Thread(target=_client, args=(url, folder / f"client_{i}", seed + i, ends, counts, wrong))
               for i in range(CLIENTS)]  # fmt: skip
    for client in clients:
        client.start()
    memory = _sampled(page.pid, ends)
    for client in clients:
        client.join()
    page.terminate()
    try:
        page.wait(SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        page.kill()
        page.wait()
        wrong.append(f"the page did not end within {SECONDS_TO_END} seconds")
    if page.returncode:
        wrong.append(f"the page ended with code {page.returncode}")
    if "Traceback" in (folder / "page.log").read_text(encoding="utf-8", errors="replace"):
        wrong.append("the page's log has a traceback")
    left = [path for path in temporary.rglob("*") if path.is_file()]
    growth, in_words = _growth(memory)
    problems = wrong[:3] + ["memory grows"] * (growth > GROWTH) + [f"{len(left)} files left"] * bool(left)
    return Row(f"page, {CLIENTS} clients for {minutes:g} minutes", sum(counts.values()), dict(counts),
               len(wrong) + (growth > GROWTH) + len(left),
               "; ".join([in_words, f"{len(left)} temporary files left", *problems]))  # fmt: skip


def _client(url: str, folder: Path, seed: int, ends: float, counts: Counter[str], wrong: list[str]) -> None:
    """Asks until the time is over."""
    folder.mkdir()
    rng = random.Random(seed)
    questions = 0
    while time.monotonic() < ends:
        kind = rng.choice((_good, _good, _good, _broken, _long, _path, _too_large))
        try:
            if questions % 10 == 0:
                session = Session(url)  # a user leaves, another one comes
            questions += 1
            counts[kind(session, folder, rng)] += 1
        except Exception as error:  # whatever a client meets is a finding, and the others go on
            wrong.append(f"{kind.__name__}: {type(error).__name__} {str(error)[:200]}")


def _good(session: Session, folder: Path, rng: random.Random) -> str:
    session.give(_write_photo(folder / "photo.png", rng.randrange(2**31)))
    session.values["phrases"] = "the red square\nthe blue square on the left"
    session.send("ask", "click")
    record = session.record()
    if len(record["answers"]) != 2 or not all(each["boxes_xyxy"] for each in record["answers"]):
        raise Refused(f"answered {record}")
    return "good ones answered"


def _broken(session: Session, folder: Path, rng: random.Random) -> str:
    path = folder / "broken.png"
    path.write_bytes(rng.randbytes(2000))
    session.give(path)
    return _refused(session)


def _long(session: Session, folder: Path, _: random.Random) -> str:
    session.give(_write_photo(folder / "photo.png", 0))
    session.values["phrases"] = "word " * 20_000
    session.send("ask", "click")
    return _refused(session)


def _path(session: Session, _: Path, rng: random.Random) -> str:
    path = rng.choice(["/etc/passwd", "../../../etc/passwd", "http://127.0.0.1:1/a.png", str(ROOT / "README.md")])
    try:
        session.claim(path)
    except Refused as refusal:
        if ONLY_UPLOADED not in str(refusal):
            raise
        return "bad ones refused"
    raise Refused(f"{path} was taken for an upload: {session.status!r}")


def _too_large(session: Session, folder: Path, rng: random.Random) -> str:
    path = folder / "large.png"
    path.write_bytes(rng.randbytes((MEGABYTES + 1) * 2**20))
    with suppress(requests.ConnectionError):  # the server has refused it, and listens no more
        code = session.upload(path).status_code
        if code != 413:
            raise Refused(f"a file above the limit was answered {code}")
    return "bad ones refused"


def _refused(session: Session) -> str:
    """Whether the line of status says a mistake in words."""
    if 'role="alert"' not in (session.values["status"] or "") or UNEXPECTED[1:] in session.status:
        raise Refused(f"said {session.status!r}")
    return "bad ones refused"


def _until_it_answers(url: str, page: subprocess.Popen[bytes], log: Path) -> None:
    while True:
        if page.poll() is not None:
            raise RuntimeError(f"the page did not start:\n{log.read_text()}")
        with suppress(requests.RequestException):
            requests.get(url, timeout=10).raise_for_status()
            return
        time.sleep(0.5)


def _sampled(pid: int, ends: float) -> list[float]:
    """Resident memory of a process in MiB, some times a second."""
    process, memory = psutil.Process(pid), []
    while time.monotonic() < ends:
        with suppress(psutil.NoSuchProcess):
            memory.append(process.memory_info().rss / 2**20)
        time.sleep(1 / SAMPLES_PER_SECOND)
    return memory


def _growth(memory: list[float]) -> tuple[float, str]:
    """The highest of the second half over that of the first one after the start, and both in words."""
    settled = memory[round(SETTLED * len(memory)) :]
    first, second = np.max(settled[: len(settled) // 2]), np.max(settled[len(settled) // 2 :])
    return float(
        second / first
    ), f"at most {first:.0f} MiB in the first half after the start, {second:.0f} in the second"


def _write_photo(path: Path, seed: int) -> Path:
    """Squares on noise, another picture for every seed."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(60, 120, (SIDE, SIDE, 3), dtype=np.uint8)
    for colour in ((205, 40, 40), (45, 80, 205)):
        x, y = rng.integers(0, SIDE - 30, 2)
        pixels[y : y + 28, x : x + 28] = colour
    Image.fromarray(pixels).save(path)
    return path


if __name__ == "__main__":
    run(main)
