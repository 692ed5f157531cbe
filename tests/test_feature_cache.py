"""The feature cache: it holds what the tower says, and is never stale."""

from __future__ import annotations

import errno
import pickle
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor

import grounding.data.pairs as pairs
from grounding import InputError
from grounding.config import ModelConfig
from grounding.data.batches import TrainingItems, collate
from grounding.data.features import StoredFeatures, as_records
from grounding.data.refcocog import RefCOCOg
from grounding.decoder import DecoderConfig
from grounding.dense_clip import DenseCLIP, DenseFeatures
from grounding.feature_cache import cache_key, cached_features, record_of
from grounding.grounder import decoder_for
from grounding.learner import Learner, LossConfig
from grounding.train_config import TrainConfig
from grounding.training import train
from grounding.weak import WeakConfig
from tests.cached_data import BLOCKS, IMAGES, SIZE, assert_holds, dataset_of, encoder_of, files_in, filled
from tests.scripts import ROOT, assert_refused, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import write_toy_data

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)
CLOSE = 1e-2  # how far half precision moves a loss, as a share of it

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Toy data in data/; not to be changed."""
    folder = tmp_path_factory.mktemp("cached")
    write_toy_data(folder / "data", {"train": IMAGES, "val": 2, "test": 1})
    return folder


@pytest.fixture
def config(root: Path, tmp_path: Path) -> TrainConfig:
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=SIZE, decoder=SMALL)
    return TrainConfig(root / "data", tmp_path / "run", model=model, epochs=1, images_per_batch=4, warmup_steps=1,
                       device="cpu", feature_cache=tmp_path / "cache")  # fmt: skip


@pytest.mark.parametrize(
    ("stride", "names"), [(16, ["layer3", "layer2", "layer1"]), (32, ["layer4", "layer3", "layer2"])]
)
def test_records_are_what_the_tower_says(root: Path, tmp_path: Path, stride: int, names: list[str]) -> None:
    dataset, encoder = dataset_of(root / "data"), encoder_of(output_stride=stride)
    stored = filled(tmp_path / "cache", dataset, encoder)
    assert list(stored.record.names or ()) == ["size", *names, "embeddings"]
    assert_holds(stored, dataset, encoder)
    assert files_in(tmp_path / "cache") == BLOCKS


def test_size_of_rn50s_record() -> None:
    # Two bytes for every value: layer3 and the embeddings at 28 x 28 cells, layer2 at 56 x 56, layer1 at 112 x 112;
    # and eight bytes for the image's size.
    bytes_per_image = 2 * (1024 * 28**2 + 512 * 56**2 + 256 * 112**2 + 1024 * 28**2) + 8
    printed = StringIO()
    page = (ROOT / "docs" / "feature_cache.md").read_text()
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    scope: dict[str, np.dtype] = {}
    with redirect_stdout(printed):
        exec(block, scope)
    assert scope["record"].itemsize == bytes_per_image
    assert printed.getvalue().strip() == block.rstrip().rpartition("# ")[2]


@pytest.mark.parametrize("supervision", ["boxes", "weak", "mixed"])
def test_losses_are_those_of_computed_features(
    config: TrainConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, supervision: str
) -> None:
    weak = WeakConfig(background_weight=0.3, colour_weight=0.5)
    dataset, encoder = dataset_of(config.data), encoder_of()
    stored = filled(tmp_path / "cache", dataset, encoder)
    boxed = {"boxes": None, "weak": set(), "mixed": {1, 3}}[supervision]
    torch.manual_seed(0)
    learner = Learner(encoder, decoder_for(encoder, SMALL), LossConfig(weak=weak))
    settings = dict(model_size=SIZE, stride=8, phrases_per_image=3, boxed=boxed, seed=0)
    computed = TrainingItems(dataset, **settings)  # type: ignore[arg-type]
    pixels = supervision != "boxes"
    read = TrainingItems(dataset, features=stored, pixels=pixels, **settings)  # type: ignore[arg-type]
    first = collate([computed[index] for index in range(4)])
    second = collate([read[index] for index in range(4)])

    for name in ("phrases", "wrong_phrases"):
        assert getattr(first, name) == getattr(second, name)
    for name in ("valid", "image_ids", "boxes_xyxy", "boxed", "image_index", "region_ids"):
        assert torch.equal(getattr(first, name).nan_to_num(-1), getattr(second, name).nan_to_num(-1)), name
    assert torch.equal(first.squares, second.squares) if pixels else second.squares.numel() == 0
    expected = learner(first)
    monkeypatch.setattr(DenseCLIP, "forward", refused)
    losses = learner(second)
    assert set(losses) == set(expected)
    for name, loss in losses.items():
        assert loss.item() == pytest.approx(expected[name].item(), rel=CLOSE), name
        assert loss.item() != expected[name].item() or name == "colour_loss", f"{name} was not read from the cache"


def refused(*arguments: object) -> None:
    raise AssertionError("this was to be read from the cache")


def test_a_second_run_reads_what_the_first_one_computed(
    config: TrainConfig, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pairs.jsonl"
    (tmp_path / "images").symlink_to(config.data / "images")
    names = sorted(path.name for path in (config.data / "images").iterdir())
    file.write_text("".join(f'{{"image": "{name}", "phrase": "the red box"}}\n' for name in names))
    arguments = ["--data", file, "--supervision", "weak", "--losses.weak.colour_weight", 0, "--model.clip",
                 config.model.clip, "--model.model_size", SIZE, "--model.decoder.width", 16, "--epochs", 1,
                 "--device", "cpu", "--feature_cache", config.feature_cache]  # fmt: skip
    calls = []
    tower = DenseCLIP.forward

    def counted(dense: DenseCLIP, pixels: Tensor) -> DenseFeatures:
        calls.append(len(pixels))
        return tower(dense, pixels)

    monkeypatch.setattr(DenseCLIP, "forward", counted)
    outcome = run_script(capsys, "train.py", *arguments, "--output", tmp_path / "first")
    assert outcome.code == 0, outcome
    assert calls == [8, 8, len(names) - 16]
    size = re.search(r"feature cache: (\S+) in (.+), of which (\S+) are to be computed", outcome.out)
    assert size is not None and size[1] == size[3]

    monkeypatch.setattr(pairs, "read_image", refused)  # nor is an image decoded
    outcome = run_script(capsys, "train.py", *arguments, "--output", tmp_path / "second", "--workers", 1)
    assert outcome.code == 0, outcome
    assert calls == [8, 8, len(names) - 16]
    assert "of which 0.00B are to be computed" in outcome.out
    # And whether the cache was filled first has moved no random number.
    first, second = (load_file(tmp_path / run / "decoder.safetensors") for run in ("first", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_with_boxes(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    train(config)
    tower = DenseCLIP.forward
    # Validation asks it of its two images at most; training would ask it of four.
    monkeypatch.setattr(DenseCLIP, "forward", lambda dense, x: refused() if len(x) > 2 else tower(dense, x))
    train(replace(config, output=config.output.with_name("second")))
    first, second = (load_file(config.output.with_name(run) / "decoder.safetensors") for run in ("run", "second"))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_items_go_to_other_processes(root: Path, tmp_path: Path) -> None:
    dataset, encoder = dataset_of(root / "data"), encoder_of()
    stored = filled(tmp_path / "cache", dataset, encoder)
    items = TrainingItems(dataset, model_size=SIZE, stride=8, phrases_per_image=3, features=stored, seed=0)
    sent = pickle.loads(pickle.dumps(items))
    first, second = collate([items[0]]).features, collate([sent[0]]).features
    assert first is not None and second is not None
    assert torch.equal(first.embeddings, second.embeddings)


@pytest.mark.parametrize("change", ["image", "clip", "model_size", "output_stride", "subset", "stated size"])
def test_a_stale_cache_is_never_read(config: TrainConfig, root: Path, tmp_path: Path, change: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(root / "data", data)
    dataset, encoder = dataset_of(data), encoder_of()
    before = cached_features(config, dataset, encoder)
    assert before is not None and before.blocks.folder.parent == config.feature_cache
    if change == "image":
        path = dataset.expressions[0].image_path
        pixels = np.asarray(Image.open(path))
        Image.fromarray(255 - pixels).save(path)
    elif change == "clip":
        encoder = encoder_of(seed=1)
    elif change == "model_size":
        encoder = encoder_of(model_size=96)
    elif change == "output_stride":
        encoder = encoder_of(output_stride=16)
    elif change == "subset":
        dataset = RefCOCOg(data, "train", group_by="image", subset=7)
    else:
        dataset._image_sizes[dataset.expressions[0].image_id] = None
    after = cached_features(config, dataset, encoder)
    assert after is not None and after.blocks.folder != before.blocks.folder
    assert_holds(after, dataset, encoder)


def test_the_key_is_the_same_for_a_copy_elsewhere(root: Path, tmp_path: Path) -> None:
    shutil.copytree(root / "data", tmp_path / "moved")  # with its files' times
    encoder = encoder_of()
    assert cache_key(dataset_of(root / "data"), encoder) == cache_key(dataset_of(tmp_path / "moved"), encoder)


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        (["--augmentation.crop", "true", "--augmentation.flip", "true"], ["augmentation.crop and augmentation.flip"]),
        (["--augmentation.blur", "true"], ["augmentation.blur"]),
        (["--supervision", "weak", "--losses.weak.teacher_sizes", "[96]"], ["losses.weak.teacher_sizes", "[]"]),
        (["--supervision", "mixed", "--losses.weak.mirror_weight", "0.1"], ["losses.weak.mirror_weight", "0"]),
    ],
)
def test_what_the_cache_does_not_hold_is_refused(
    config: TrainConfig, capsys: Capture, arguments: list[str], fragments: list[str]
) -> None:
    outcome = run_script(capsys, "train.py", "--data", config.data, "--output", config.output, "--model.clip",
                         config.model.clip, "--feature_cache", config.feature_cache, *arguments)  # fmt: skip
    assert_refused(outcome, "feature_cache", *fragments)
    assert not config.output.exists() and not Path(str(config.feature_cache)).exists()


def test_a_full_disk_is_said_before_anything_is_computed(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(config.data)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    monkeypatch.setattr(DenseCLIP, "forward", refused)
    with pytest.raises(InputError, match=r"needs \S+ more in .+ where 1\.00kB are free"):
        train(config)
    assert not config.output.exists()


def test_a_damaged_block_is_named(root: Path, tmp_path: Path) -> None:
    stored = filled(tmp_path / "cache", dataset_of(root / "data"), encoder_of())
    path = tmp_path / "cache" / "00000001"
    path.write_bytes(path.read_bytes()[:-1])
    assert stored[0]["size"].all()
    with pytest.raises(InputError, match="00000001 is damaged: remove it"):
        stored[8]


def test_a_file_in_the_folders_place(config: TrainConfig, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(InputError, match="cannot be made"):
        cached_features(config, dataset_of(config.data), encoder_of())


def test_values_beyond_half_precision_are_refused() -> None:
    encoder = encoder_of()
    features = encoder.encode([np.zeros((8, 8, 3), np.uint8)]).features
    features.pyramid["layer3"][0, 0, 0, 0] = 7e4
    with pytest.raises(InputError, match="'layer3' exceed half precision"):
        as_records(record_of(encoder), torch.tensor([[8, 8]]), features)


def test_a_finished_cache_is_only_read(config: TrainConfig, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset, encoder = dataset_of(root / "data"), encoder_of()
    cached_features(config, dataset, encoder)

    def write_nothing(*_: object) -> None:
        raise AssertionError("wrote")

    monkeypatch.setattr("grounding.feature_cache.write_whole", write_nothing)
    monkeypatch.setattr(StoredFeatures, "write", write_nothing)
    stored = cached_features(config, dataset, encoder)
    assert stored is not None and stored.missing == 0


def test_a_file_system_without_locks_is_refused(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", unsupported)
    with pytest.raises(InputError, match=r"feature_cache is .+ where files cannot be locked"):
        cached_features(config, dataset_of(config.data), encoder_of())
