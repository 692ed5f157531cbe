"""`visualize.py serve`: what it refuses, what it reaches for, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from grounding.cli import parse
from grounding.config import ModelConfig
from grounding.errors import InputError
from grounding.webapp.serving import ServeConfig, listening, make_server, subtitle
from tests.scripts import ROOT, assert_refused, run_script
from tests.trained_run import make_trained_run


def test_a_port_in_use_is_told(capsys) -> None:
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert taken.getsockname()[0] == "127.0.0.1"
        outcome = run_script(capsys, "visualize.py", "serve", "refshapes", "--port", port)
        assert_refused(outcome, f"port {port} of 127.0.0.1 cannot be used", f"give another --port, such as {port + 1}")
    with pytest.raises(InputError, match="no address: give --host"):
        listening("no.such.host.invalid", 7860)
    with pytest.raises(InputError, match="port 99999 is no address"):
        listening("127.0.0.1", 99999)


def test_a_wrong_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no run folder"):
        make_server(ServeConfig(str(tmp_path / "missing"), device="cpu"), tmp_path)
    with pytest.raises(InputError, match="looks at no image"):
        make_server(ServeConfig("whole-image", device="cpu"), tmp_path)


def test_the_page_says_what_its_clip_knows(tmp_path: Path) -> None:
    run = make_trained_run(tmp_path) / "run"
    for config, warned in [
        (ServeConfig("refshapes"), True),
        (ServeConfig("zero-shot"), True),
        (ServeConfig("zero-shot", model=ModelConfig(clip="RN50")), False),
        (ServeConfig(str(run)), False),
    ]:
        assert ("not photographs" in subtitle(config, "CLIP x")) is warned


def test_the_command_line_reads_the_run_first() -> None:
    config = parse(ServeConfig, "visualize", ["runs/a", "--port", "0", "--max_pixels", "5"], positional="run")
    assert (config.run, config.host, config.port, config.max_pixels) == ("runs/a", "127.0.0.1", 0, 5)
    with pytest.raises(InputError, match="port"):
        parse(ServeConfig, "visualize", ["runs/a", "--port", "-1"], positional="run")


PROBE = """
import socket, sys
from pathlib import Path
from grounding.webapp.serving import ServeConfig, make_server
assert "gradio" not in sys.modules, "Gradio is slow to import, and only needed to serve"

def refuse(*address, **options):
    raise AssertionError(f"somebody wanted to reach {address}")

socket.getaddrinfo = socket.socket.connect = socket.socket.connect_ex = refuse
make_server(ServeConfig("refshapes", device="cpu"), Path(sys.argv[1]))
assert "gradio" in sys.modules
"""


def test_starting_reaches_for_no_other_machine(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "somebody wanted" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_quietly_while_browsers_show_the_page_and_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    command = [sys.executable, "visualize.py", "serve", "refshapes", "--port", "0", "--device", "cpu"]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as server:
        assert server.stdout is not None and server.stderr is not None
        url = server.stdout.readline().split()[0]
        with requests.get(f"{url}gradio_api/heartbeat/a", stream=True, timeout=60) as open_connection:
            assert open_connection.ok and list(tmp_path.iterdir())
            server.send_signal(how)
            assert server.wait(60) == 0
        complaints = server.stderr.read()
    assert "Traceback" not in complaints and "ERROR" not in complaints
    assert [path for path in tmp_path.iterdir() if path.name.startswith("grounding-")] == []
