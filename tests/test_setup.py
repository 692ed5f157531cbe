"""The set-up script with stand-ins for Python and pip: what it says when something is missing, and what it repeats."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the script is for Linux, macOS and WSL")

PROJECT = Path(__file__).parents[1]
TOOLS = ["sh", "awk", "cat", "cksum", "cp", "cut", "dirname", "grep", "mkdir", "rm", "sed", "sleep", "tail", "touch"]

# Plays Python, both the system's and the one in .venv; the environment says how it behaves.
STAND_IN = """\
#!/bin/sh
case "$*" in
*disk_usage*) echo "${FREE_MB:-50000}" ;;
*"import sys, pip"*) exit 0 ;;
*version_info*) echo "${MINOR:-12}" ;;
*ensurepip*) exit "${ENSUREPIP_STATUS:-0}" ;;
"-m venv .venv")
    [ "${VENV_STATUS:-0}" = 0 ] || exit 1
    mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/pyvenv.cfg ;;
"-m pip install"*)
    echo "$*" >>pip-calls
    printf '%s\\n' "$PIP_SAYS"
    [ "${PIP_STATUS:-0}" != killed ] || kill -9 "$PPID"
    exit "${PIP_STATUS:-0}" ;;
*"import torch"*) printf '%s\\n' "$IMPORT_SAYS"; [ -z "$IMPORT_SAYS" ] ;;
--version) echo "Python 3.${MINOR:-12}.0" ;;
*) echo "the stand-in knows no $*"; exit 1 ;;
esac
"""

NO_NETWORK = """\
WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError(\
'<HTTPSConnection object>: Failed to establish a new connection: [Errno -3] Temporary failure in name resolution')'
ERROR: Could not find a version that satisfies the requirement torch==2.12.1 (from versions: none)
ERROR: No matching distribution found for torch==2.12.1"""


class Checkout:
    """A copy of the files that the script reads, with a PATH that holds nothing but the tools it needs."""

    def __init__(self, root: Path) -> None:
        self.root = root / "check out"
        self.path = root / "bin"
        (self.root / "scripts").mkdir(parents=True)
        self.path.mkdir()
        shutil.copy(PROJECT / "scripts/setup.sh", self.root / "scripts")
        for file in [*PROJECT.glob("requirements*.txt"), PROJECT / "constraints.txt"]:
            shutil.copy(file, self.root)
        for tool in TOOLS:
            (self.path / tool).symlink_to(shutil.which(tool) or pytest.skip(f"no {tool}"))
        self.add_program("uname", "#!/bin/sh\necho Linux\n")  # whose default install is the large one

    def add_program(self, name: str, text: str = STAND_IN) -> None:
        file = self.path / name
        file.write_text(text)
        file.chmod(0o755)

    def set_up(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "scripts/setup.sh", *arguments],
            cwd=self.root,
            env={"PATH": str(self.path), **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def pip_calls(self) -> list[str]:
        """The arguments of pip's runs since this was last asked."""
        record = self.root / "pip-calls"
        calls = record.read_text().splitlines() if record.exists() else []
        record.unlink(missing_ok=True)
        return calls


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def with_python(checkout: Checkout) -> Checkout:
    checkout.add_program("python3")
    return checkout


def assert_refusal(result: subprocess.CompletedProcess[str], *fragments: str) -> None:
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.startswith("error: ")
    for fragment in fragments:
        assert fragment in result.stderr


def test_without_python(checkout: Checkout) -> None:
    assert_refusal(checkout.set_up(), "no python3 on PATH", "install Python 3.10 to 3.14")


@pytest.mark.parametrize(("minor", "shown"), [("8", "3.8"), ("15", "3.15"), ("0", "2")])
def test_unsuitable_python(with_python: Checkout, minor: str, shown: str) -> None:
    assert_refusal(with_python.set_up(MINOR=minor), f"python3 is Python {shown} ", "3.10 to 3.14", "PYTHON=")


def test_newer_python_beside_an_old_one(checkout: Checkout) -> None:
    checkout.add_program("python3", STAND_IN.replace("MINOR:-12", "MINOR:-9"))
    checkout.add_program("python3.13", "#!/bin/sh\nexit 127\n")  # as pyenv leaves for a version that is not active
    checkout.add_program("python3.11")
    assert checkout.set_up().returncode == 0


def test_named_python(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up(PYTHON="/nowhere/python3"), "PYTHON=/nowhere/python3 does not run")
    with_python.add_program("my python")
    assert with_python.set_up(PYTHON=str(with_python.path / "my python")).returncode == 0


def test_without_venv_module(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up(ENSUREPIP_STATUS="1"), "apt install python3.12-venv")


def test_failing_venv(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up(VENV_STATUS="1"), "python3 -m venv failed", "apt install python3-venv")
    assert with_python.set_up().returncode == 0


def test_too_little_disk(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up(FREE_MB="4000"), "only 4000 MB are free", "needs 9000 MB", "TORCH_INDEX_URL")
    assert not (with_python.root / ".venv").exists()


def test_small_torch_needs_less_disk(with_python: Checkout) -> None:
    assert with_python.set_up(FREE_MB="4000", TORCH_INDEX_URL="https://index.example/cpu").returncode == 0


@pytest.mark.parametrize(
    ("pip_says", "fragments"),
    [
        (NO_NETWORK, ["pip cannot reach its package index", "check the network"]),
        (
            "ReadTimeoutError: HTTPSConnectionPool(host='files.example', port=443): Read timed out.",
            ["pip cannot reach its package index"],
        ),
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            ["disk became full", "free some space"],
        ),
        (
            "ERROR: Could not find a version (from versions: none)\nERROR: No matching distribution found for torch",
            ["no torch that fits", "docs/install.md"],
        ),
        (
            "ERROR: Cannot install torch<2.13 and >=2.6 because these package versions have conflicting dependencies.",
            ["no torch that fits", "docs/install.md"],
        ),
        ("ERROR: Failed building wheel for something", ["Failed building wheel", ".venv/install.log"]),
        (
            NO_NETWORK + "\nDownloading on the second try" * 50 + "\nERROR: Failed building wheel for something",
            ["Failed building wheel"],
        ),
    ],
    ids=["offline", "timeout", "disk-full", "no-build", "no-build-with-pins", "other", "other-after-lost-connection"],
)
def test_failing_pip(with_python: Checkout, pip_says: str, fragments: list[str]) -> None:
    assert_refusal(with_python.set_up(PIP_STATUS="1", PIP_SAYS=pip_says), *fragments)
    assert pip_says in (with_python.root / ".venv/install.log").read_text()

    result = with_python.set_up()
    assert result.returncode == 0
    assert "anew" not in result.stdout


def test_packages_that_do_not_import(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up(IMPORT_SAYS="ImportError: odd"), "ImportError: odd", ".venv/install.log")
    assert with_python.set_up().returncode == 0


def test_foreign_folder_is_left_alone(with_python: Checkout) -> None:
    kept = with_python.root / ".venv/notes.txt"
    kept.parent.mkdir()
    kept.touch()
    assert_refusal(with_python.set_up(), "is not a virtual environment")
    assert kept.exists()


def test_unknown_argument(with_python: Checkout) -> None:
    assert_refusal(with_python.set_up("everything"), "unknown argument 'everything'")


def test_installs_once(with_python: Checkout) -> None:
    first = with_python.set_up()
    assert first.returncode == 0
    assert not first.stderr
    assert [call.split()[5:] for call in with_python.pip_calls()] == [
        ["off", "-r", "requirements.txt", "-c", "constraints.txt"]
    ]

    second = with_python.set_up()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", "")
    assert not with_python.pip_calls()


def test_dev_covers_run(with_python: Checkout) -> None:
    with_python.set_up()
    with_python.pip_calls()
    with_python.set_up("dev")
    all_at_once, without_dependencies = with_python.pip_calls()
    assert "-r requirements-dev.txt" in all_at_once
    assert "--no-deps -r requirements-no-deps.txt" in without_dependencies
    with_python.set_up("dev")
    with_python.set_up()
    assert not with_python.pip_calls()


def test_changed_requirements_are_installed(with_python: Checkout) -> None:
    with_python.set_up()
    with_python.pip_calls()
    (with_python.root / "constraints.txt").open("a").write("extra==1\n")
    assert "anew" not in with_python.set_up().stdout
    assert len(with_python.pip_calls()) == 1


def test_cut_off_installation_is_repaired(with_python: Checkout) -> None:
    assert with_python.set_up(PIP_STATUS="killed", PIP_SAYS="Installing collected packages: torch").returncode < 0
    half_done = with_python.root / ".venv/half-done"
    half_done.touch()

    result = with_python.set_up()
    assert result.returncode == 0
    assert "cut off" in result.stdout
    assert not half_done.exists()


def test_other_torch_index(with_python: Checkout) -> None:
    assert with_python.set_up(TORCH_INDEX_URL="https://index.example/cpu").returncode == 0
    torch, rest = with_python.pip_calls()
    assert "torch torchvision -c .venv/constraints.txt --no-deps --index-url https://index.example/cpu" in torch
    assert "-r requirements.txt -c .venv/constraints.txt --extra-index-url https://index.example/cpu" in rest
    pins = (with_python.root / ".venv/constraints.txt").read_text()
    assert "\ntorch==" in pins
    assert "nvidia" not in pins

    with_python.set_up()  # remembers the index
    assert not with_python.pip_calls()
    assert "TORCH_INDEX_URL changed" in with_python.set_up(TORCH_INDEX_URL="https://index.example/cuda").stdout
