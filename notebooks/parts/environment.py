import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

STARTED = time.perf_counter()
OFFLINE = MODE == "refshapes"
# Only what is missing, and without dependencies: Colab's own torch, torchvision and numpy stay as they are.
NEEDED = {"clip": "clip-anytorch", "ftfy": "ftfy", "onnxruntime": "onnxruntime", "flatbuffers": "flatbuffers",
          "cv2": "opencv-python-headless", "safetensors": "safetensors", "pkg_resources": "setuptools<81"}  # fmt: skip
missing = [package for module, package in NEEDED.items() if find_spec(module) is None]
if missing:
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", *missing], check=True)

if OFFLINE:
    places = [Path(REPOSITORY)] if REPOSITORY else [Path.cwd(), *Path.cwd().parents]
    ROOT = next((each for each in places if (each / "grounding/weights/embedded_clip.safetensors").is_file()), None)
    assert ROOT, "clone or unzip the project's repository and name its folder in REPOSITORY: it has the small weights"
    WEIGHTS, RUNS = ROOT / "grounding/weights", Path("runs")
    DATA = Path("data") if FAST else ROOT / "data/refshapes"
    if not (DATA / "annotations").is_dir():  # the scenes are drawn by the repository, which is needed for nothing else
        few = ["--train", "16", "--val", "8", "--test", "8"] if FAST else []
        subprocess.run([sys.executable, "-m", "grounding.data.refshapes", "--root", DATA.absolute(), *few], cwd=ROOT,
                       check=True, stdout=subprocess.DEVNULL)  # fmt: skip
else:
    if "google.colab" in sys.modules:
        sys.modules["google.colab"].drive.mount("/content/drive")
    DATA, RUNS = Path(DRIVE), Path(DRIVE) / "runs"
print(f"mode {MODE}{', fast' if FAST else ''}; Python {sys.version.split()[0]}; data in {DATA.name}")
