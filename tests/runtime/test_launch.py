"""What a launcher says counts only where it is whole, and of several processes that fail or stop one says why."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from grounding.runtime import cli, distributed
from grounding.runtime.distributed import failing_together, join_launch
from grounding.runtime.errors import InputError, SharedError
from grounding.runtime.launch import LAUNCH, is_main, refuse_several
from tests.scripts import ROOT

TWO = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "29500"}


@pytest.fixture(autouse=True)
def no_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LAUNCH:
        monkeypatch.delenv(name, raising=False)


def numbered(monkeypatch: pytest.MonkeyPatch, rank: str = "1", **changed: str) -> None:
    """As one of two processes of a launch."""
    for name, value in {**TWO, "RANK": rank, **changed}.items():
        monkeypatch.setenv(name, value)


ALONE = [
    {"RANK": "16"},
    {"RANK": "3", "LOCAL_RANK": "3", "MASTER_ADDR": "node", "MASTER_PORT": "29500"},
    {**TWO, "WORLD_SIZE": "1"},
]


@pytest.mark.parametrize("environment", ALONE)
def test_a_part_of_a_launch_is_one_process_and_a_whole_one_counts(monkeypatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    refuse_several("this")
    assert is_main()
    numbered(monkeypatch)
    assert not is_main()
    with pytest.raises(InputError, match="this works in one process"):
        refuse_several("this")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"LOCAL_RANK": "", "MASTER_PORT": ""}, "LOCAL_RANK, MASTER_PORT not set"),  # as a PyTorchJob of Kubeflow
        ({"RANK": "2"}, "RANK '2'"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE 'two'"),
        ({"WORLD_SIZE": "0", "RANK": "0"}, "WORLD_SIZE '0'"),
    ],
)
def test_several_processes_without_a_whole_launch_are_refused(monkeypatch, changed, said: str) -> None:
    numbered(monkeypatch, **changed)
    assert is_main(), "it has to be said"
    for start in (lambda: refuse_several("this"), lambda: join_launch("cpu")):
        with pytest.raises(InputError, match=f"{said}.*: start several processes with torchrun, or unset WORLD_SIZE"):
            start()


def test_variables_that_were_left_behind_make_no_launch() -> None:
    """In a process of its own: what accelerate makes of an environment it keeps."""
    code = (
        "from grounding.runtime.distributed import join_launch, process_count\n"
        "launch = join_launch('cpu')\n"
        "print(launch.num_processes, launch.is_main_process, process_count())"
    )
    left_behind = {"RANK": "16", "LOCAL_RANK": "2", "PMI_SIZE": "4", "OMPI_COMM_WORLD_SIZE": "4", "SLURM_NTASKS": "4"}
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120,
                             env={"PATH": "/usr/bin:/bin", "HOME": str(Path.home()), **left_behind})  # fmt: skip
    assert outcome.stdout == "1 True 1\n", outcome.stderr


@pytest.mark.parametrize(
    ("error", "rank", "code", "said"),
    [
        (InputError("wrong"), "0", 2, "error: wrong\n"),
        (InputError("wrong"), "1", 2, "\nerror: wrong\n"),  # below the first one's progress
        (SharedError("wrong"), "1", 2, ""),  # which the first one says
        (KeyboardInterrupt(), "0", 130, "\nstopped; what is finished is kept\n"),
        (KeyboardInterrupt(), "1", 130, ""),
    ],
)
def test_which_process_says_why_they_end(monkeypatch, capsys, error: BaseException, rank, code, said) -> None:
    slept: list[float] = []
    monkeypatch.setattr(cli.time, "sleep", slept.append)
    numbered(monkeypatch, rank)
    with pytest.raises(SystemExit) as stopped, cli.exit_on_input_error():
        raise error
    assert (stopped.value.code, capsys.readouterr().err) == (code, said)
    assert slept == ([cli.SECONDS_FOR_THE_FIRST] if code == 2 and rank == "1" else [])


@pytest.mark.parametrize(
    ("rank", "own", "expected"), [("0", None, InputError), ("1", None, SharedError), ("1", "mine", SharedError)]
)
def test_what_stops_one_process_stops_both(monkeypatch, rank: str, own: str | None, expected: type) -> None:
    """Two processes are started in tests/training; here the other one's part is given."""

    def exchanged(messages: list[str | None], message: str | None) -> None:
        assert message == own
        messages[:] = [message, "wrong"] if rank == "0" else ["wrong", message]

    numbered(monkeypatch, rank)
    monkeypatch.setattr(distributed, "process_count", lambda: 2)
    monkeypatch.setattr(distributed.dist, "all_gather_object", exchanged)

    @failing_together()
    def work() -> None:
        if own is not None:
            raise InputError(own)

    with pytest.raises(expected, match="wrong") as ended:
        work()
    assert type(ended.value) is expected
