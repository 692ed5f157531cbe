import os

MODE = "auto"  # @param ["auto", "refcocog", "offline"]
FAST = False  # @param {type: "boolean"}
DRIVE = False  # @param {type: "boolean"}
STUDENT_IDS = ["student_id_1", "student_id_2"]

# The same from outside, for whoever runs the notebook from a script.
MODE = os.environ.get("GROUNDING_NOTEBOOK_MODE", MODE)
FAST = os.environ.get("GROUNDING_NOTEBOOK_FAST", str(int(FAST))) == "1"
