"""What a method's name says, where names of several kinds meet."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from grounding import InputError, ModelConfig, load
from grounding.evaluation.registry import MethodSettings, load_method, origin_of
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import SIZES_OF_A_CLIP, shared_model
from grounding.methods.names import is_clip, method_names, needs_no_training
from grounding.methods.own import own_method
from grounding.methods.proposals import ProposalsConfig
from tests.tiny_clip import save_tiny_clip


class Mine:
    """A method of one's own."""

    def ground(self, image, phrases):
        """Never asked."""


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as RN50.pt is, of a small CLIP."""
    return save_tiny_clip(tmp_path_factory.mktemp("clips") / "RN50.pt")


@pytest.mark.parametrize(
    ("methods", "others", "names"),
    [
        (["runs/a/run", "runs/b/run", "runs/other"], [], ["a-run", "b-run", "other"]),
        (["runs/a/RUN", "runs/b/run"], [], ["a-RUN", "b-run"]),  # on some disks one file
        (["hf://u/n@x/y", "hf://u/n", "hf://v/m"], [], ["u-n-x-y", "u-n-main", "m"]),
        (["runs/zero-shot", "zero-shot", "their/boxes.jsonl"], [], ["runs-zero-shot", "zero-shot", "boxes"]),
        (["runs/box-mask"], ["box-mask"], ["runs-box-mask"]),
        (["runs/a-b", "x/a/b"], [], ["runs-a-b", "b"]),
        (["RN50", "runs/RN50", "clips/mine.pt", Mine()], [], ["RN50", "runs-RN50", "clips-mine", "Mine"]),
    ],
)
def test_a_run_is_called_after_as_many_folders_as_tell_it_from_the_others(methods, others, names) -> None:
    assert method_names(methods, others) == names


@pytest.mark.parametrize("methods", [["runs/a", "runs/../runs/a"], ["zero-shot"] * 2, [Mine(), Mine()]])
def test_two_of_one_name_are_refused(methods) -> None:
    with pytest.raises(InputError, match="both be called"):
        method_names(methods)
    with pytest.raises(InputError, match=r"both be called 'zero-shot'"):
        method_names(["zero-shot"], ["zero-shot"])


def test_a_run_on_a_hub_is_no_clip_and_a_file_is_one_in_any_case(tmp_path: Path) -> None:
    assert not is_clip("hf://user/run@v1.pt") and not needs_no_training("hf://user/x.bin")
    assert is_clip("RN50.PT") and is_clip("RN50") and not is_clip(str(tmp_path / "run"))
    (tmp_path / "run.pt").mkdir()
    assert not is_clip(str(tmp_path / "run.pt"))


def test_a_clip_beside_a_run_on_it_is_asked_as_it_is_alone(clip_file: Path) -> None:
    of_the_run = ModelConfig(clip=str(clip_file), model_size=64, spatial_rules=True)
    settings = MethodSettings(of_the_run, ProposalsConfig(), "cpu")
    for grounder in (load_method(str(clip_file), settings), load(clip_file)):
        assert isinstance(grounder, DenseGrounder) and not grounder.spatial_rules
        assert [each.model_size for each in grounder._encoders] == list(SIZES_OF_A_CLIP)


def test_a_missing_file_and_a_second_clip_are_refused(clip_file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no CLIP .*gone\.pt.*: give one of embedded, RN50"):
        load(tmp_path / "gone.pt")
    with pytest.raises(InputError, match=r"RN50\.pt' is a CLIP, and model\.clip is 'RN101': leave one of them out"):
        load(clip_file, model=ModelConfig(clip="RN101"))


def test_methods_without_training_see_the_clip_that_is_named(clip_file: Path) -> None:
    model = shared_model([str(clip_file), "yolo-clip"], ModelConfig())
    assert (model.clip, model.inference_sizes) == (str(clip_file), SIZES_OF_A_CLIP)
    beside_a_run = shared_model(["refshapes", str(clip_file)], ModelConfig())
    assert beside_a_run.clip == "embedded"
    settings = MethodSettings(beside_a_run, ProposalsConfig(), "cpu")
    grounder = load_method(str(clip_file), settings)
    seen = origin_of(grounder, str(clip_file), settings)["model"]
    assert (grounder.name, seen["clip"], *seen["inference_sizes"]) == ("RN50", str(clip_file), *SIZES_OF_A_CLIP)


MODULE = """
class Plain:
    def ground(self, image, phrases):
        return []

class Needy(Plain):
    def __init__(self, seed):
        self.seed = seed

def made():
    return Needy(3)

given = Needy(4)
"""


def test_classes_functions_and_objects_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "of_mine").mkdir()
    (tmp_path / "of_mine" / "methods.py").write_text(MODULE)
    (tmp_path / "of_mine" / "lacking.py").write_text("import no_such_module_anywhere\n")
    found = {name: own_method(f"of_mine.methods:{name}") for name in ("Plain", "made", "given")}
    assert [getattr(each.method, "seed", None) for each in found.values() if each] == [None, 3, 4]
    for name, said in (
        ("of_mine.methods:Needy", "cannot be made without arguments .*'seed'"),
        ("of_mine.methods:Other", "has no attribute 'Other'"),
        ("of_mine.lacking:Plain", "No module named 'no_such_module_anywhere'"),
    ):
        with pytest.raises(InputError, match=said):
            load(name)
    for other in ("zero-shot", "runs/demo", "hf://user/name", "boxes.jsonl", r"C:\runs\demo"):
        assert own_method(other) is None
    (tmp_path / "of:mine").mkdir()
    assert own_method("of:mine") is None, "a folder that is there"
