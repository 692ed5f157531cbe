"""The set-up script with stand-ins for Python and pip: what it installs, repeats and says when it fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scripts import ROOT

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the script is for Linux, macOS and WSL")

TOOLS = ["sh", "cat", "cksum", "cp", "cut", "dirname", "grep", "mkdir", "rm", "sed", "tail", "touch"]
NO_DRIVER = pytest.mark.skipif(Path("/proc/driver/nvidia").exists(), reason="this machine has NVIDIA's driver")
CPU_INDEX = "--index-url https://download.pytorch.org/whl/cpu"

# Plays Python, both the system's and the one in .venv; the environment says how it behaves.
STAND_IN = """\
#!/bin/sh
case "$*" in
*"import sys, ensurepip"*) exit "${UNSUITABLE:-0}" ;;
*urlopen*) exit "${UNREACHABLE:-1}" ;;
"-m venv .venv")
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/pyvenv.cfg
    [ -z "$VENV_SAYS" ] || { echo "$VENV_SAYS"; exit 1; }
    touch .venv/bin/pip ;;
"-m pip install"*)
    echo "$*" >>pip-calls
    printf '%s\\n' "$PIP_SAYS" >>.venv/install.log
    [ "${PIP_STATUS:-0}" != killed ] || kill -9 "$PPID"
    case "$*" in *--index-url*) exit "${INDEX_STATUS:-0}" ;; esac
    exit "${PIP_STATUS:-0}" ;;
*"import torch"*) printf '%s\\n' "$IMPORT_SAYS"; [ -z "$IMPORT_SAYS" ] ;;
*) echo "the stand-in knows no $*"; exit 1 ;;
esac
"""


class Checkout:
    """A copy of the files that the script reads, with a PATH that holds nothing but the tools it needs."""

    def __init__(self, root: Path) -> None:
        self.root, self.path = root / "check out", root / "bin"
        (self.root / "scripts").mkdir(parents=True)
        self.path.mkdir()
        shutil.copy(ROOT / "scripts/setup.sh", self.root / "scripts")
        for file in [*ROOT.glob("requirements*.txt"), ROOT / "constraints.txt"]:
            shutil.copy(file, self.root)
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool}"))
        self.add_program("uname", "#!/bin/sh\necho Linux\n")
        self.add_program("python3")

    def add_program(self, name: str, text: str = STAND_IN) -> None:
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o755)

    def set_up(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "scripts/setup.sh", *arguments], cwd=self.root, capture_output=True, text=True,
                              env={"PATH": str(self.path), **environment}, timeout=60)  # fmt: skip

    def pip_calls(self) -> list[str]:
        """What pip was asked to install since this was last called."""
        record = self.root / "pip-calls"
        calls = record.read_text().splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        return [call.partition("--log .venv/install.log ")[2] for call in calls]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def assert_refusal(result: subprocess.CompletedProcess[str], *fragments: str) -> None:
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1 and result.stderr.startswith("error: ")
    for fragment in fragments:
        assert fragment in result.stderr


def test_installs_once(checkout: Checkout) -> None:
    first = checkout.set_up()
    assert (first.returncode, first.stderr) == (0, "")
    assert checkout.pip_calls() == ["-r requirements.txt -c .venv/constraints.txt"]
    assert (checkout.root / ".venv/constraints.txt").read_text() == (ROOT / "constraints.txt").read_text()
    second = checkout.set_up()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert not checkout.pip_calls()
    checkout.set_up("dev")
    assert checkout.pip_calls() == ["-r requirements-dev.txt -c .venv/constraints.txt"]
    checkout.set_up()
    assert not checkout.pip_calls(), "dev covers run"
    (checkout.root / "constraints.txt").open("a").write("extra==1\n")
    assert "anew" not in checkout.set_up().stdout
    assert len(checkout.pip_calls()) == 1


@NO_DRIVER
def test_without_a_driver_torch_comes_without_cuda_where_its_index_answers(checkout: Checkout) -> None:
    checkout.set_up(UNREACHABLE="0")
    torch, rest = checkout.pip_calls()
    assert torch == f"--no-deps torch torchvision -c constraints.txt {CPU_INDEX}"
    assert rest == "-r requirements.txt -c .venv/constraints.txt"
    pins = (checkout.root / ".venv/constraints.txt").read_text()
    assert "\ntorch==" in pins and "nvidia" not in pins
    (checkout.root / "constraints.txt").open("a").write("extra==1\n")  # it is installed again
    assert checkout.set_up(UNREACHABLE="0", INDEX_STATUS="1").returncode == 0
    assert len(checkout.pip_calls()) == 2
    assert "\nnvidia" in (checkout.root / ".venv/constraints.txt").read_text()


@pytest.mark.parametrize(("program", "says"), [("nvidia-smi", "a GPU"), ("uname", "Darwin")])
def test_with_a_driver_or_elsewhere_torch_comes_from_pypi_or_the_named_index(
    checkout: Checkout, program: str, says: str
) -> None:
    checkout.add_program(program, f"#!/bin/sh\necho {says}\n")
    named = {"TORCH_INDEX_URL": "https://index.example/cuda"}
    refused = checkout.set_up(**named, INDEX_STATUS="1", PIP_SAYS="ERROR: none")
    assert_refusal(refused, "the installation failed: none")
    assert checkout.pip_calls()[0].endswith("--index-url https://index.example/cuda")
    checkout.set_up(UNREACHABLE="0")
    assert checkout.pip_calls() == ["-r requirements.txt -c .venv/constraints.txt"]


def test_unsuitable_python(checkout: Checkout) -> None:
    (checkout.path / "python3").unlink()
    assert_refusal(checkout.set_up(), "python3 is no Python 3.10 to 3.14", "PYTHON=", "python3-venv")
    checkout.add_program("python3", STAND_IN.replace("UNSUITABLE:-0", "UNSUITABLE:-1"))
    checkout.add_program("python3.13", "#!/bin/sh\nexit 127\n")  # as pyenv leaves for one that is not active
    checkout.add_program("my python")
    assert_refusal(checkout.set_up(PYTHON="/nowhere/python3"), "/nowhere/python3 is no Python 3.10 to 3.14")
    assert not (checkout.root / ".venv").exists()
    assert checkout.set_up(PYTHON=str(checkout.path / "my python")).returncode == 0
    shutil.rmtree(checkout.root / ".venv")
    checkout.add_program("python3.11")
    assert checkout.set_up().returncode == 0


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("WARNING: Retrying (Retry(total=0, connect=None)) after 'NewConnectionError'\nERROR: No matching distribution",
         "cannot reach its package index"),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk became full"),
        ("WARNING: Retrying (Retry(total=4)) after 'NewConnectionError'\n2026-11-29 ERROR: Failed building wheel",
         "failed: Failed building wheel"),
    ],
)  # fmt: skip
def test_failing_pip(checkout: Checkout, said: str, told: str) -> None:
    assert_refusal(checkout.set_up(PIP_STATUS="1", PIP_SAYS=said), told, ".venv/install.log", "docs/install.md")
    assert "anew" not in checkout.set_up().stdout


def test_packages_that_do_not_import_and_a_failing_venv(checkout: Checkout) -> None:
    assert_refusal(checkout.set_up(VENV_SAYS="no ensurepip"), "the installation failed: no ensurepip")
    assert_refusal(checkout.set_up(IMPORT_SAYS="ImportError: odd"), "ImportError: odd", ".venv/install.log")
    assert checkout.set_up().returncode == 0


def test_cut_off_installation_is_repaired(checkout: Checkout) -> None:
    assert checkout.set_up(PIP_STATUS="killed", PIP_SAYS="Installing collected packages: torch").returncode < 0
    (checkout.root / ".venv/half-done").touch()
    result = checkout.set_up()
    assert result.returncode == 0 and "cut off" in result.stdout
    assert not (checkout.root / ".venv/half-done").exists()
    (checkout.root / ".venv/bin/python").unlink()
    assert "its Python is gone" in checkout.set_up().stdout


def test_foreign_folder_is_left_alone_and_unknown_words_are_refused(checkout: Checkout) -> None:
    assert_refusal(checkout.set_up("everything"), "unknown argument")
    (checkout.root / ".venv").mkdir()
    (checkout.root / ".venv/notes.txt").touch()
    assert_refusal(checkout.set_up(), "is no virtual environment")
    assert (checkout.root / ".venv/notes.txt").exists()
