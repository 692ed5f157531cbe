"""An image that cannot be read costs no step, and is left out on demand."""

from __future__ import annotations

import json
import pickle
import signal
from dataclasses import replace

import pytest

from grounding import InputError
from grounding.data.dataloader import GlobalBatches
from grounding.data.refcocog import RefCOCOg
from grounding.runtime.signals import Stopped
from grounding.training.config import TrainConfig
from grounding.training.train import train
from tests.toy_data import write_toy_data
from tests.training.disturbing import at_step, signalled
from tests.training.runs import assert_same, newest_state


def test_an_image_that_breaks_midway_costs_no_step(config: TrainConfig, undisturbed: TrainConfig) -> None:
    config = replace(config, save_every=100)
    *_, last_batch = GlobalBatches(6, config.images_per_batch, seed=config.seed)
    image = RefCOCOg(config.data, "train", group_by="image").expressions_of(last_batch[0])[0].image_path
    whole = image.read_bytes()
    image.write_bytes(whole[:40])
    with pytest.raises(InputError, match=image.name):
        train(config)
    assert newest_state(config.output) == "00000002-0000"
    image.write_bytes(whole)
    train(replace(config, resume=True))
    assert_same(config, undisturbed)


@pytest.mark.parametrize("fault", ["broken", "missing"])
def test_broken_images_are_left_out_on_demand(
    config: TrainConfig, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    without = replace(
        config, data=write_toy_data(config.data.with_name("smaller")), output=config.output.with_name("b")
    )
    refs = without.data / "annotations" / "refs(umd).p"
    kept = [ref for ref in pickle.loads(refs.read_bytes()) if ref["image_id"] != 3]
    refs.write_bytes(pickle.dumps(kept, protocol=2))
    train(without)

    image = config.data / "images" / "toy_003.png"
    image.write_bytes(b"no image") if fault == "broken" else image.unlink()
    with pytest.raises(InputError, match="missing" if fault == "missing" else "toy_003"):
        train(replace(config, output=config.output.with_name("refused")))
    config = replace(config, skip_broken=True)
    with monkeypatch.context() as patch:
        at_step(patch, 2, signalled(signal.SIGTERM))
        with pytest.raises(Stopped):
            train(config)
    assert "1 broken images are left out" in capsys.readouterr().out
    assert list(json.loads((config.output / "broken.json").read_text())) == ["3"]
    write_toy_data(config.data.with_name("again"))
    image.write_bytes((config.data.with_name("again") / "images" / "toy_003.png").read_bytes())
    train(replace(config, resume=True))  # though it is whole again, it stays out
    assert_same(config, without)
