"""The loop: frozen stays frozen, a killed run ends as an uninterrupted one, and the run folder loads."""

from __future__ import annotations

import json
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import grounding.training as training
from grounding import InputError, load, text
from grounding.config import ModelConfig
from grounding.data.mirrored import mirrored_phrase
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import images_with_boxes
from grounding.data.transforms import AugmentationConfig
from grounding.decoder import DecoderConfig
from grounding.grounder import DenseGrounder
from grounding.learner import ContrastConfig, LossConfig
from grounding.loading import make_encoder
from grounding.run_logs import read_logs
from grounding.train_config import TrainConfig
from grounding.training import running_mean, train, warmup_cosine
from grounding.weak import WeakConfig
from tests.killed import Killed, killed_after
from tests.scripts import assert_refused, run_script
from tests.tiny_clip import save_tiny_clip
from tests.toy_data import copy_with_noise_boxes, write_toy_data

SMALL = DecoderConfig(width=16, blocks=1, queries=2, query_dim=8)
AUGMENTED = AugmentationConfig(crop=True, scale=True, flip=True, colour=True, blur=True)
ALL_LOSSES = LossConfig(
    contrast=ContrastConfig(wrong_phrases=2), weak=WeakConfig(background_weight=0.3, mirror_weight=0.3)
)


@pytest.fixture
def config(tmp_path: Path) -> TrainConfig:
    data = write_toy_data(tmp_path / "data")
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64, decoder=SMALL)
    return TrainConfig(
        data, tmp_path / "run", model=model, epochs=2, images_per_batch=2, warmup_steps=2, device="cpu", save_every=1
    )


@pytest.mark.parametrize(("steps", "save_every"), [(1, 1), (2, 2), (4, 1), (5, 2)])
def test_resumed_run_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int, save_every: int
) -> None:
    config = replace(config, save_every=save_every, composed_per_image=1, augmentation=AUGMENTED)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, steps)


def assert_killed_and_resumed_equals_uninterrupted(
    config: TrainConfig, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    expected = train(config)
    broken = replace(config, output=config.output.with_name("broken"))
    with monkeypatch.context() as patch:
        killed_after(patch, steps)
        with pytest.raises(Killed):
            train(broken)
    measures = train(replace(broken, resume=True))

    assert measures == expected
    whole, resumed = (load_file(run.output / "decoder.safetensors") for run in (config, broken))
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    lines = [(run.output / "metrics.jsonl").read_text().splitlines() for run in (config, broken)]
    assert lines[0] == lines[1]


def test_different_seeds_differ(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    other = replace(config, epochs=1, output=config.output.with_name("other"), seed=1)
    train(other)
    first, second = (load_file(run.output / "decoder.safetensors") for run in (config, other))
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_training_leaves_clip_alone(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    encoders = []

    def remembered(*arguments: object) -> object:
        encoders.append(make_encoder(*arguments))  # type: ignore[arg-type]
        before.update({name: value.clone() for name, value in encoders[0].clip.model.state_dict().items()})
        return encoders[0]

    before: dict[str, torch.Tensor] = {}
    monkeypatch.setattr(training, "make_encoder", remembered)
    train(replace(config, epochs=1))
    after = encoders[0].clip.model.state_dict()
    assert before
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_run_folder(config: TrainConfig) -> None:
    train(config)
    saved = yaml.safe_load((config.output / "config.yaml").read_text())
    assert saved["model"]["decoder"]["width"] == SMALL.width
    assert saved["data"] == str(config.data)
    epochs = [json.loads(line)["epoch"] for line in (config.output / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
    assert list(config.output.glob("events.out.tfevents.*"))
    assert not list(config.output.glob("*.part"))

    grounder = load(config.output)
    image = next((config.data / "images").iterdir())
    result = grounder.ground(image, ["the red box", "the blue box"])
    assert [r.phrase for r in result] == ["the red box", "the blue box"]
    assert result[0].heatmap.shape == result[0].image.shape[:2]


def test_losses_and_learning_rate_are_logged(config: TrainConfig) -> None:
    train(config)
    (log,) = read_logs([config.output])
    rates, total = log.steps.pop("learning_rate"), log.steps.pop("total_loss")
    assert list(rates) == list(total) == list(range(1, 7))
    # The rate with which a step was taken: the first one's is not yet that of the second.
    expected = [config.learning_rate * warmup_cosine(step, config.warmup_steps, 6) for step in range(6)]
    assert list(rates.values()) == pytest.approx(expected)
    assert set(log.steps) == {"mask_loss", "contrast_loss"}
    parts = [sum(series[step] for series in log.steps.values()) for step in total]
    assert list(total.values()) == pytest.approx(parts)


def test_best_epoch_is_kept_and_patience_ends_the_run(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = iter([0.2, 0.6, 0.5, 0.4, 0.9])
    weights = []

    def scripted(grounder: DenseGrounder, *_: object, **__: object) -> dict:
        weights.append({k: v.clone() for k, v in grounder.decoder.state_dict().items()})
        return {"acc@0.5": next(scores), "miou": 0.0, "pointing": 0.0}

    monkeypatch.setattr(training, "evaluate", scripted)
    best = train(replace(config, epochs=5, patience=2))
    assert best["acc@0.5"] == 0.6
    assert len(weights) == 4  # two epochs without improvement end it
    kept = load_file(config.output / "decoder.safetensors")
    assert all(torch.equal(kept[name], weights[1][name]) for name in kept)


def test_existing_run_is_not_overwritten(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    before = (config.output / "decoder.safetensors").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        train(replace(config, epochs=1))
    with pytest.raises(InputError, match="another learning_rate"):
        train(replace(config, epochs=1, resume=True, learning_rate=0.5))
    assert (config.output / "decoder.safetensors").read_bytes() == before


@pytest.mark.parametrize("content", ["", "a: [", "words"])
def test_a_damaged_configuration_is_said_on_resume(config: TrainConfig, content: str) -> None:
    train(replace(config, epochs=1))
    (config.output / "config.yaml").write_text(content)
    with pytest.raises(InputError, match=r"config\.yaml is damaged"):
        train(replace(config, epochs=1, resume=True))


def test_a_run_is_tied_to_its_clip(config: TrainConfig) -> None:
    train(replace(config, epochs=1))
    decoder = config.output / "decoder.safetensors"
    marked = decoder.read_bytes()
    save_file(load_file(decoder), decoder)
    with pytest.raises(InputError, match="another CLIP file"):
        load(config.output)  # no mark at all
    decoder.write_bytes(marked)
    load(config.output)
    save_tiny_clip(Path(config.model.clip), seed=1)
    with pytest.raises(InputError, match="another CLIP file"):
        load(config.output)
    Path(config.model.clip).unlink()
    with pytest.raises(InputError, match=r"config\.yaml, model: no CLIP"):
        load(config.output)


def test_resuming_nothing_starts(config: TrainConfig) -> None:
    train(replace(config, epochs=1, resume=True))
    assert (config.output / "decoder.safetensors").is_file()


def test_unusable_data_leaves_no_run_folder(config: TrainConfig, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nowhere"):
        train(replace(config, data=tmp_path / "nowhere"))
    with pytest.raises(InputError, match="split"):
        train(replace(config, split="training"))
    with pytest.raises(InputError, match="clip"):
        train(replace(config, model=replace(config.model, clip=str(tmp_path / "no_clip.pt"))))
    assert not config.output.exists()


def test_warmup_cosine() -> None:
    factors = [warmup_cosine(step, 10, 110) for step in range(111)]
    assert factors[0] == pytest.approx(0.1)
    assert factors[9] == factors[10] == 1.0
    assert factors[60] == pytest.approx(0.5)
    assert factors[110] == pytest.approx(0.0)
    assert warmup_cosine(10_000, 10, 110) == pytest.approx(0.0)


def test_running_mean_follows_quickly_then_slowly() -> None:
    update = running_mean(0.9)
    mean, value = [torch.zeros(1)], [torch.ones(1)]
    update(mean, value, 1)
    assert mean[0].item() == pytest.approx(1 - 2 / 11)
    mean = [torch.zeros(1)]
    update(mean, value, 10_000)
    assert mean[0].item() == pytest.approx(0.1)


@pytest.fixture
def everything(config: TrainConfig) -> TrainConfig:
    """All augmentation, losses, composed and wrong phrases."""
    return replace(config, augmentation=AUGMENTED, losses=ALL_LOSSES, composed_per_image=1, boxes_fraction=0.34)


def weights_after(config: TrainConfig, name: str) -> dict[str, torch.Tensor]:
    """The decoder kept by a run in a folder of that name, and the last step's learner, which has the temperature."""
    output = config.output.with_name(name)
    train(replace(config, output=output))
    last = load_file(max((output / "states").iterdir()) / "model.safetensors")
    return load_file(output / "decoder.safetensors") | {f"last.{key}": value for key, value in last.items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    """To the last bit."""
    assert set(first) == set(second) and any("decoder" in name for name in first)
    return all(torch.equal(first[name], second[name]) for name in first)


def trained_on(config: TrainConfig) -> tuple[set[int], set[int]]:
    """The ids of all training images, and of those whose boxes mixed supervision uses."""
    dataset = RefCOCOg(config.data, "train", group_by="image")
    every = {expression.image_id for expression in dataset.expressions}
    return every, images_with_boxes(dataset, config.boxes_fraction, seed=config.seed)


def with_noise(config: TrainConfig, image_ids: Collection[int]) -> TrainConfig:
    copy = config.data.with_name(f"noise_{len(list(config.data.parent.iterdir()))}")
    return replace(config, data=copy_with_noise_boxes(config.data, copy, image_ids))


@pytest.mark.parametrize("pooling", ["box", "heatmap"])
def test_weak_supervision_sees_no_box(everything: TrainConfig, pooling: str) -> None:
    """With noise in place of every training box, the weights are the same to the last bit; with boxes they are not."""
    contrast = replace(ALL_LOSSES.contrast, pooling=pooling)
    boxes = replace(everything, losses=replace(ALL_LOSSES, contrast=contrast))
    weak = replace(boxes, supervision="weak")
    every, _ = trained_on(weak)
    assert equal(weights_after(weak, "weak"), weights_after(with_noise(weak, every), "weak_noise"))
    assert not equal(weights_after(boxes, "boxes"), weights_after(with_noise(boxes, every), "boxes_noise"))


def test_mixed_supervision_sees_the_boxes_of_its_images_alone(everything: TrainConfig) -> None:
    mixed = replace(everything, supervision="mixed")
    every, boxed = trained_on(mixed)
    assert len(boxed) == 2 and len(every) == 6
    expected = weights_after(mixed, "mixed")
    assert equal(expected, weights_after(with_noise(mixed, every - boxed), "elsewhere"))
    assert not equal(expected, weights_after(with_noise(mixed, boxed), "here"))


@pytest.mark.parametrize("supervision", ["weak", "mixed"])
@pytest.mark.parametrize("steps", [2, 4])
def test_resumed_run_equals_uninterrupted_without_boxes_too(
    everything: TrainConfig, monkeypatch: pytest.MonkeyPatch, supervision: str, steps: int
) -> None:
    # Pictures as they are: then the mirror loss alone asks for mirrored phrases.
    config = replace(everything, supervision=supervision, augmentation=replace(AUGMENTED, flip=steps == 2))
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, steps)


def pairs_of(config: TrainConfig) -> Path:
    """The training images and phrases as a JSON-lines file, which lies where nothing else does."""
    folder = config.data.with_name("pairs")
    shutil.copytree(config.data / "images", folder / "images")
    dataset = RefCOCOg(config.data, "train", group_by="image")
    lines = [json.dumps({"image": each.image_path.name, "phrase": each.phrase}) for each in dataset.expressions]
    (folder / "train.jsonl").write_text("\n".join(lines))
    return folder / "train.jsonl"


def test_pairs_alone_are_enough_to_train(everything: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(everything, data=pairs_of(everything), supervision="weak")
    shutil.rmtree(everything.data)
    assert_killed_and_resumed_equals_uninterrupted(config, monkeypatch, 4)
    epochs = [json.loads(line)["epoch"] for line in (config.output / "metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2]
    image = next((config.data.parent / "images").iterdir())
    [result] = load(config.output).ground(image, ["the red box"])
    assert result.heatmap.shape == result.image.shape[:2]


def test_of_pairs_alone_the_last_epoch_is_kept(everything: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = []

    def remembered(run: training.RunFolder, decoder: torch.nn.Module, *, clip_sha256: str) -> None:
        kept.append({name: value.clone() for name, value in decoder.state_dict().items()})
        save(run, decoder, clip_sha256=clip_sha256)

    save = training.RunFolder.save_decoder
    monkeypatch.setattr(training.RunFolder, "save_decoder", remembered)
    config = replace(everything, data=pairs_of(everything), supervision="weak", epochs=3, patience=1)
    assert train(config) == {}
    assert len(kept) == 3
    found = load_file(config.output / "decoder.safetensors")
    assert all(torch.equal(found[name], kept[-1][name]) for name in found)
    assert any(not torch.equal(found[name], kept[-2][name]) for name in found)


@pytest.mark.parametrize("flip", [False, True])
def test_every_phrase_is_encoded_before_the_first_step(
    everything: TrainConfig, monkeypatch: pytest.MonkeyPatch, flip: bool
) -> None:
    """Those that the mirror loss asks too: encoded with others, an embedding is another one in its last bits."""
    encoded: list[int] = []
    encode = text.encode_tokens
    monkeypatch.setattr(
        text, "encode_tokens", lambda model, ids, **more: (encoded.append(len(ids)), encode(model, ids, **more))[1]
    )
    pairs = pairs_of(everything)
    lines = [json.loads(line) for line in pairs.read_text().splitlines()]
    placed = [
        line | {"phrase": f"{line['phrase']} on the {('left', 'far right')[i % 2]}"} for i, line in enumerate(lines)
    ]
    pairs.write_text("\n".join(map(json.dumps, lines + placed)))
    config = replace(everything, data=pairs, supervision="weak", augmentation=AugmentationConfig(flip=flip))
    train(config)
    assert len(encoded) == 1
    phrases = {line["phrase"] for line in lines + placed}
    assert encoded == [len(phrases | {mirrored_phrase(phrase) for phrase in phrases})] and encoded[0] > len(phrases)


def test_pairs_can_be_validated_on_another_data_set(everything: TrainConfig) -> None:
    config = replace(everything, data=pairs_of(everything), validation_data=everything.data, supervision="weak")
    assert 0 <= train(config)["acc@0.5"] <= 1


def test_pairs_from_the_command_line(
    everything: TrainConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = pairs_of(everything)
    options = ("--data", pairs, "--output", tmp_path / "run", "--device", "cpu", "--epochs", 1, "--model.clip",
               everything.model.clip, "--model.model_size", 64)  # fmt: skip
    for supervision in ("boxes", "mixed"):
        assert_refused(run_script(capsys, "train.py", *options, "--supervision", supervision), pairs, "weak")
    weak = (*options, "--supervision", "weak")
    assert_refused(run_script(capsys, "train.py", *weak, "--subset", 3), "subset is 3", pairs)
    no_adapter = ("--model.decoder.adapter", "false")
    assert_refused(run_script(capsys, "train.py", *weak, *no_adapter), "contrast.pooling is 'box'", "decoder.adapter")
    assert not (tmp_path / "run").exists()
    trained = run_script(capsys, "train.py", *weak, *no_adapter, "--losses.contrast.pooling", "heatmap")
    assert trained.code == 0, trained
    assert trained.out.strip().endswith(f"the run is in {tmp_path / 'run'}")
    assert (tmp_path / "run" / "decoder.safetensors").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"boxes_fraction": 1.5}, r"boxes_fraction is 1\.5: give a share between 0 and 1"),
        (
            {"losses": LossConfig(contrast=ContrastConfig(weight=0), weak=WeakConfig(map_weight=0, colour_weight=0))},
            "give images without boxes a loss",
        ),
    ],
)
def test_supervision_without_sense_is_refused(everything: TrainConfig, changes: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        train(replace(everything, supervision="mixed", **changes))
    assert not everything.output.exists()
