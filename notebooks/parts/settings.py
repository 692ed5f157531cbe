import os

MODE = "refshapes"  # @param ["refshapes", "refcocog"]
REPOSITORY = ""  # folder of the project's repository, for "refshapes"; empty: the folder of this notebook, or above it
DRIVE = "/content/drive/MyDrive/visual grounding"  # for "refcocog": the folder that holds annotations/ and images/
FAST = False  # True goes through all cells with a handful of images, to see whether they run

# The same from outside, for whoever runs the notebook from a script.
MODE = os.environ.get("NOTEBOOK_MODE", MODE)
REPOSITORY = os.environ.get("NOTEBOOK_REPOSITORY", REPOSITORY)
DRIVE = os.environ.get("NOTEBOOK_DRIVE", DRIVE)
FAST = os.environ.get("NOTEBOOK_FAST", str(int(FAST))) == "1"
