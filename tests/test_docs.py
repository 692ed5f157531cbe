"""The documentation does what it says: every command and every piece of Python in it runs, and every link leads."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from PIL import Image

from grounding.clip import backbone
from grounding.data.refshapes.writer import write_refshapes
from grounding.evaluation.compare import EvaluateConfig
from grounding.extraction import ExtractionConfig, quality
from grounding.runtime.cli import parse
from grounding.training import tune_extraction
from grounding.training.config import TrainConfig
from grounding.training.train import train
from grounding.visualization import report
from tests.scripts import ROOT, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

Capture = pytest.CaptureFixture[str]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

# What cannot run here, by the beginning of the command, and what shows that it works all the same.
ELSEWHERE = {
    "git clone": "needs the repository's address",
    "make demo": "installs; tests/test_demo.py runs the demo on a few images",
    "make test": "this is it",
    "python3 -m venv": "installs; tests/test_setup.py runs the set-up script",
    "source ": "as above",
    "pip install": "as above",
    "conda ": "as above",
    "python demo.py": "tests/test_demo.py runs it on a few images",
    "python -m grounding.data.refshapes": "draws 7,500 images; tests/data/refshapes runs it for a few",
    "python -m grounding.data.download": "needs the network; tests/data/test_download.py has a server of its own",
    "torchrun": "tests/training/test_training_processes.py starts two processes by it",
    "python -m grounding.deployment.bulk --ray": "needs Ray; tests/deployment/test_ray_bulk.py runs it",
    "ray start": "as above",
    "python -m grounding.deployment.export": "takes half a minute; tests/deployment/export runs it",
    "python examples/onnx_grounding.py": "needs what the line before makes; tests/deployment/export runs it",
    "hf upload": "needs an account",
    "tensorboard": "answers until it is stopped; tests/training/test_training_loop.py reads what it reads",
    "python visualize.py serve": "answers until it is stopped; tests/webapp starts it",
    "python -m notebooks.build": "tests/notebooks builds the notebook and executes it",
}


BLOCKS = [  # page, language and text of each fenced block
    (page.name, language, text)
    for page in PAGES
    for language, text in re.findall(r"^```(\w+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
]
PYTHON = [(page, text) for page, language, text in BLOCKS if language == "python"]
SHELL = [line for _, language, text in BLOCKS if language in ("sh", "bash")
         for line in text.replace("\\\n", " ").splitlines()]  # fmt: skip
COMMANDS = list(dict.fromkeys(" ".join(re.sub(r"\s+#.*", "", line).split()) for line in SHELL if line.strip()))
RUN_HERE = [line for line in COMMANDS if not line.startswith(tuple(ELSEWHERE))]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    """Without what takes long and is tested elsewhere: plots, and settings and steps in plenty for box extraction."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw_plots", lambda *_: {})
        patch.setattr(tune_extraction, "GRID", (ExtractionConfig(), ExtractionConfig("quality")))
        patch.setattr(quality, "STEPS", 20)
        yield


@pytest.fixture(scope="module")
def with_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder in which all that the documentation names is there, but small, such as a finished demo and a
    finished run on RefCOCOg; not to be changed."""
    folder = tmp_path_factory.mktemp("docs")
    clip = save_tiny_clip(folder / "RN50.pt")
    model = {"clip": str(clip), "model_size": 64, "decoder": {"width": 16, "blocks": 1, "queries": 2, "query_dim": 8}}
    (folder / "configs").mkdir()
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        settings = yaml.safe_load(path.read_text())
        settings["train"] |= {"model": model, "epochs": 1, "warmup_steps": 1, "workers": 0, "device": "cpu",
                              "mixed_precision": "no", "subset": None, "validation_subset": None,
                              "start_from": None, "sets_per_image": 0, "sets_split_by": None}  # fmt: skip
        settings["evaluate"] = {**settings.get("evaluate", {"methods": []}), "device": "cpu", "proposals": {}}
        settings["tune"] = {"trials": 2}
        (folder / "configs" / path.name).write_text(yaml.safe_dump(settings))
    refcocog = write_toy_data(folder / "data" / "refcocog")
    for split_by in ("google", "unc"):
        shutil.copy(refcocog / "annotations" / "refs(umd).p", refcocog / "annotations" / f"refs({split_by}).p")
    for name in ("refshapes", "refshapes-demo"):
        write_refshapes(folder / "data" / name, train=6, val=3, test=3)
    image = next((refcocog / "images").iterdir())
    Image.open(image).convert("RGB").save(folder / "street.jpg")
    (folder / "photos").mkdir()
    shutil.copy(folder / "street.jpg", folder / "photos")
    (folder / "requests.jsonl").write_text('{"image": "street.jpg", "phrases": ["the red car"]}\n')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("demo", "refcocog"):
            train(parse(TrainConfig, "train", ["--config", f"configs/{name}.yaml"]))
            report.report_comparison(parse(EvaluateConfig, "evaluate", ["--config", f"configs/{name}.yaml"]))
    shutil.copytree(folder / "runs" / "refcocog", folder / "runs" / "second")
    shutil.copy(folder / "runs" / "refcocog" / "test" / "predictions" / "zero-shot.jsonl", folder / "theirs.jsonl")
    [method] = [text for page, text in PYTHON if page == "evaluation.md"]
    (folder / "my_method.py").write_text(method)
    return folder


@pytest.fixture
def place(with_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it as working folder."""
    folder = tmp_path / "work"
    shutil.copytree(with_runs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(backbone, "_published_file", lambda name: folder / f"{name}.pt")  # in the place of a download
    return folder


@pytest.mark.parametrize("line", RUN_HERE)
def test_command(line: str, place: Path, capsys: Capture) -> None:
    python, name, *arguments = shlex.split(line)
    assert python == "python", f"{line} is neither run here nor listed in ELSEWHERE"
    starts_a_run = name == "train.py" and arguments[:1] == ["--config"] and "--resume" not in arguments
    if starts_a_run:
        shutil.rmtree(place / "runs")
    if name == "-c":
        exec(compile(arguments[0], line, "exec"), {})
        return
    if name == "-m":
        name, *arguments = arguments
    outcome = run_script(capsys, name, *arguments)
    assert outcome.code == 0, outcome


@pytest.mark.parametrize(("page", "text"), PYTHON)
def test_python(page: str, text: str, place: Path) -> None:
    exec(compile(text, page, "exec"), {})


def test_nothing_is_excused_in_vain() -> None:
    for beginning in ELSEWHERE:
        assert any(line.startswith(beginning) for line in COMMANDS), f"no page says {beginning!r} any more"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:  # as GitHub makes it of a heading
            headings = re.findall(r"^#+ (.+)$", file.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
            assert anchor in anchors, f"{page.name} links to {target}"
