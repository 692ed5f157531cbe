"""`python -m grounding.deployment.export`: a trained run as files that need neither PyTorch nor this package.

The folder that it writes holds three ONNX files, tokenizer.json, and export.json, which says how to use them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from ftfy.chardata import DOUBLE_QUOTE_RE, LIGATURES, SINGLE_QUOTE_RE, WIDTH_MAP
from jsonargparse import auto_cli
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.processors import TemplateProcessing
from tqdm import tqdm

from grounding.clip.backbone import TOKENIZER
from grounding.clip.text import CONTEXT_LENGTH, END, START
from grounding.deployment.networks import onnx_networks
from grounding.geometry import PADDING_RGB
from grounding.methods.config import read_model_config
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.methods.names import DECODER_FILE, folder_of
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.cli import exit_on_input_error
from grounding.runtime.errors import InputError
from grounding.runtime.files import sha256_of

SETTINGS_FILE = "export.json"
TOKENIZER_FILE = "tokenizer.json"
OLDEST_TORCH = "2.10"  # whose exporter understands that phrases and their lengths differ

HIDDEN = r"[\p{Cf}&&[^\x{200c}\x{200d}]]"  # as `clip.text` has it
# As in the `clip` package, simple_tokenizer.py, without the two tokens above, which are letters like any other here.
WORDS = r"(?i)'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


def export_run(run: str, output: Path) -> dict[str, Any]:
    """Write a run's networks and what a program needs to use them, all of it or nothing; returns what export.json has.

    Of that, "sizes" are the sides in pixels of the squares that the image is letterboxed into, whose heatmaps are
    averaged, and "padding_rgb" the colour around it; "output_stride" and "heatmap_stride" are model pixels per cell of
    the dense embeddings and of a heatmap; "context_length" is the most tokens of a phrase; "relative" and "absolute"
    are the thresholds of the connected components that become boxes.
    """
    if torch.__version__ < OLDEST_TORCH:
        raise InputError(f"the export needs PyTorch {OLDEST_TORCH} or newer, this is {torch.__version__}: update it")
    output = output.resolve()
    if output.exists():
        raise InputError(f"{output} is there already: remove it, or give a new --output")
    grounder = load(run, precision="float32")
    if not isinstance(grounder, DenseGrounder) or not isinstance(grounder.decoder, HeatmapDecoder):
        raise InputError(f"{run!r} has no trained decoder to export: give the folder of a run")
    folder = folder_of(run)
    config = read_model_config(folder)
    settings = {
        "weights": grounder.weights,
        "decoder_sha256": sha256_of(folder / DECODER_FILE),
        "sizes": list(config.inference_sizes or (config.model_size,)),
        "padding_rgb": list(PADDING_RGB),
        "output_stride": config.output_stride,
        "heatmap_stride": config.heatmap_stride,
        "context_length": CONTEXT_LENGTH,
        "relative": grounder.extraction.relative,
        "absolute": grounder.extraction.absolute,
        "left_out": list(left_out(grounder)),
    }
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent, prefix=f"{output.name}.part") as temporary:
        unfinished = Path(temporary) / output.name
        unfinished.mkdir()
        networks = onnx_networks(grounder.encoder, grounder.decoder)
        for name, content in tqdm(networks, total=3, desc="exporting", unit="network"):
            (unfinished / f"{name}.onnx").write_bytes(content)
        clip_to_tokenizers().save(str(unfinished / TOKENIZER_FILE), pretty=False)
        (unfinished / SETTINGS_FILE).write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        unfinished.rename(output)
    return settings


def left_out(grounder: DenseGrounder) -> Iterator[str]:
    """What the run does on its way to an answer and its export does not, a sentence each."""
    if grounder.flip:
        yield (
            "the run asks the mirrored image as well (model.inference_flip) and averages the two heatmaps: "
            "the export asks the image as it is only"
        )
    extraction = grounder.extraction
    if extraction.method != "components":
        yield (
            f"the run makes boxes by {extraction.method!r}: the export makes them by 'components', connected regions "
            f"above {extraction.relative:g} of the maximum"
        )
    if grounder.calibration is not None:
        yield (
            "the run's scores are probabilities, and it says whether anything fits the phrase (calibration.yaml): "
            "the export's scores are heat, and it always gives a box"
        )


def clip_to_tokenizers() -> Tokenizer:
    """The tokenizer that gives `clip.tokenize`'s ids: start token, words, end token, zeros up to the longest phrase.

    Its file is read without PyTorch and from other languages too. The `clip` package's tokenizer repairs a text with
    ftfy before it splits it: of these repairs the file holds those that replace characters (quotation marks, ligatures,
    full-width letters) and spaces. What would have to guess stays undone: text that was decoded wrongly ("cafÃ©") and
    HTML entities ("&amp;").
    """
    tokenizer = Tokenizer(BPE(vocab=TOKENIZER.encoder, merges=list(TOKENIZER.bpe_ranks), end_of_word_suffix="</w>"))
    tokenizer.normalizer = normalizers.Sequence(
        [
            *(normalizers.Replace(chr(code), plain) for code, plain in (LIGATURES | WIDTH_MAP).items()),
            normalizers.Replace(Regex(SINGLE_QUOTE_RE.pattern), "'"),
            normalizers.Replace(Regex(DOUBLE_QUOTE_RE.pattern), '"'),
            normalizers.NFC(),
            normalizers.Replace(Regex(HIDDEN), ""),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = (TOKENIZER.decoder[each] for each in (START, END))
    tokenizer.post_processor = TemplateProcessing(
        single=f"{start} $A {end}", special_tokens=[(start, START), (end, END)]
    )
    tokenizer.enable_padding(pad_id=0, pad_token="!")
    return tokenizer


def main(run: str, output: Path) -> None:
    """Export a trained run to ONNX, and say what the files leave out.

    Args:
        run: the run's folder, or "refshapes" for the decoder that comes with this package.
        output: folder to make.
    """
    settings = export_run(run, output)
    for path in sorted(output.iterdir()):
        print(f"{path}: {path.stat().st_size / 1e6:.1f} MB")
    for sentence in settings["left_out"]:
        print(f"Left out: {sentence}.")


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False)
