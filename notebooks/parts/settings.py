import os

MODE = "refshapes"  # @param ["refshapes", "refcocog"]
REPOSITORY = ""  # folder of the project's repository, for "refshapes"; empty: the folder of this notebook, or above it
DRIVE = "/content/drive/MyDrive/visual grounding"  # for "refcocog": the folder that holds annotations/ and images/
RN50 = "RN50"  # for "refcocog": OpenAI's, which is downloaded, or the path of its file
FAST = False  # True goes through all cells with a handful of images, to see whether they run

# The same from outside, for whoever runs the notebook from a script.
given = {name.removeprefix("NOTEBOOK_"): value for name, value in os.environ.items() if name.startswith("NOTEBOOK_")}
globals().update(given | {"FAST": given.get("FAST", FAST) in (True, "1")})
