import json
import platform
import shutil
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

STARTED = time.perf_counter()
COLAB = find_spec("google") is not None and find_spec("google.colab") is not None
if MODE == "auto":
    MODE = "refcocog" if COLAB else "offline"
OFFLINE = MODE == "offline"
# Bars are for whoever waits; a finished report is better without them.
os.environ.setdefault("TQDM_DISABLE", "0" if COLAB else "1")
os.environ.setdefault("TQDM_MININTERVAL", "5")
os.environ.setdefault("ALBUMENTATIONS_OFFLINE", "1")  # no question to its maker whether there is a newer version

REQUIREMENTS = "@requirements@"
DETECTOR_REQUIREMENT = "@detector_requirement@"


def is_missing(line):
    from packaging.requirements import Requirement

    requirement = Requirement(line)
    try:
        return not requirement.specifier.contains(version(requirement.name), prereleases=True)
    except PackageNotFoundError:
        return True


if not OFFLINE:
    kept = [f"{name}=={version(name)}" for name in ("torch", "torchvision")]
    Path("kept.txt").write_text("\n".join(kept))
    missing = [line for line in (*REQUIREMENTS, DETECTOR_REQUIREMENT) if is_missing(line)]
    print("to install:", *(missing or ["nothing"]), sep="\n  ")
    if missing:
        subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "-c", "kept.txt", *missing], check=True)

OPENED_IN = globals().get("OPENED_IN", Path.cwd())  # as it was before the first run of this cell
if OFFLINE:
    places = [Path(os.environ.get("GROUNDING_NOTEBOOK_REPOSITORY", OPENED_IN)), *OPENED_IN.parents]
    REPOSITORY = next(
        (each for each in places if (each / "grounding/weights/embedded_clip.safetensors").exists()), None
    )
    assert REPOSITORY, "offline, the notebook takes weights from the repository: open it from within a checkout"
WORK = Path(os.environ.get("GROUNDING_NOTEBOOK_WORK", (REPOSITORY / "runs" if OFFLINE else OPENED_IN) / "notebook"))
for folder in "@folders@":
    (WORK / folder).mkdir(parents=True, exist_ok=True)
for module in "@empty@":
    (WORK / module).touch()
os.chdir(WORK)
sys.path.insert(0, str(WORK))


def bring(source, target):
    """A link where the system allows it, else a copy."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        return
    try:
        target.symlink_to(source)
    except OSError:
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)


RUNS = Path("runs")
if OFFLINE:
    for file in (REPOSITORY / "grounding/weights").glob("embedded_*"):
        bring(file, Path("grounding/weights") / file.name)
    if (REPOSITORY / "data/refshapes").is_dir() and not FAST:
        bring(REPOSITORY / "data/refshapes", Path("data/refshapes"))
elif DRIVE:
    from google.colab import drive

    drive.mount("/content/drive")
    RUNS = Path("/content/drive/MyDrive/grounding/runs")

print(f"mode {MODE}{', fast' if FAST else ''}; Python {platform.python_version()}")
