"""What one training step costs: FLOPs, bytes moved and bytes alive, without computing anything.

The real `TrainingCriterion` makes the step with fake tensors: every operation of the forward and backward pass is gone
through, with the shapes and types it would have. A dispatch mode adds up FLOPs (`torch.utils.flop_counter`), the
bytes that the others move, and the bytes that are alive at once. What the data decide, such as which phrase has a box,
is real, so that the losses take the way they would take.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd.graph import saved_tensors_hooks
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from torch.utils.flop_counter import conv_flop_count, flop_registry

from grounding.clip.backbone import LoadedCLIP
from grounding.clip.encoder import Encoder
from grounding.clip.package import CLIP
from grounding.clip.text import PhraseFeatures
from grounding.data.batches import TrainingBatch
from grounding.methods.dense import decoder_for
from grounding.training.config import TrainConfig
from grounding.training.criterion import TrainingCriterion

LONGEST_PHRASE = 24  # tokens of the longest phrase of a batch, an assumption that hardly matters
TOWER, TEACHERS = "frozen tower", "tower at teacher sizes"
DECODER, BACKWARD = "decoder and losses, forward", "decoder and losses, backward"
PARTS = (TOWER, TEACHERS, DECODER, BACKWARD)

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
FLOAT32_ON_CUDA = (F.normalize, F.layer_norm, F.group_norm, F.interpolate)


@dataclass
class Cost:
    """What one training step asks for.

    Attributes:
        flops: by part and by whether in float32; a multiply-add counts as two.
        traffic: bytes that operations without FLOPs read and write, were each to go through memory by itself.
        saved: bytes that the forward pass keeps for the backward pass, besides weights.
        alive: most bytes alive at once, gradients included and weights left out.
        static: bytes that stay from step to step, by what they hold.
        trained: number of trained parameters.
    """

    flops: dict[tuple[str, bool], int] = field(default_factory=lambda: defaultdict(int))
    traffic: int = 0
    saved: int = 0
    alive: int = 0
    static: dict[str, float] = field(default_factory=dict)
    trained: int = 0

    @property
    def memory(self) -> float:
        """Bytes of a step."""
        return sum(self.static.values()) + self.alive


class Meter(TorchDispatchMode):
    """Adds up what the operations within it cost; they may be on real or on fake tensors.

    Args:
        there: tensors that were there before and stay.

    Attributes:
        cost: so far.
        part: of `Cost.flops` that operations are counted to.
    """

    def __init__(self, there: Sequence[Tensor]) -> None:
        super().__init__()
        self.cost, self.part = Cost(), DECODER
        self._there = [each.untyped_storage() for each in there]
        self._known = {each._cdata for each in self._there}
        self._alive = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if "index_put" in func.__name__ or func is torch.ops.aten.index.Tensor:
            args = (args[0], [each for one in args[1] for each in _positions(one)], *args[2:])
        given = [each for each in tree_iter((args, kwargs)) if isinstance(each, Tensor)]
        out = func(*args, **kwargs)
        made = [each for each in tree_iter(out) if isinstance(each, Tensor)]
        before = {each.untyped_storage()._cdata for each in given}
        is_view = made and all(each.untyped_storage()._cdata in before for each in made)
        for tensor in (*given, *made):
            self._meet(tensor.untyped_storage())
        if func._overloadpacket in flop_registry:
            key = self.part, made[0].dtype == torch.float32
            self.cost.flops[key] += _flops_of(func, args, kwargs, out)
        elif func._schema.is_mutable or not is_view:
            self.cost.traffic += sum(each.nbytes for each in (*given, *made))
        return out

    def _meet(self, storage: torch.UntypedStorage) -> None:
        key = storage._cdata
        if key in self._known:
            return
        self._known.add(key)
        self._alive += storage.nbytes()
        self.cost.alive = max(self.cost.alive, self._alive)
        weakref.finalize(storage, self._forget, key, storage.nbytes())

    def _forget(self, key: int, size: int) -> None:
        self._known.discard(key)
        self._alive -= size


def _flops_of(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any) -> int:
    if func is torch.ops.aten.convolution_backward.default:
        # Each gradient takes as many as the forward pass; PyTorch's own count ignores groups.
        grad_out, x, weight, *_, transposed, _, _, wanted = args
        return int(conv_flop_count(x.shape, weight.shape, grad_out.shape, transposed=transposed)) * sum(wanted[:2])
    return int(flop_registry[func._overloadpacket](*args, **kwargs, out_val=out))


class AsOnCuda(TorchFunctionMode):
    """Functions that autocast leaves in float32 on a GPU, where on the CPU it does not."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func in FLOAT32_ON_CUDA and torch.is_autocast_enabled("cpu"):
            args = tuple(each.float() if isinstance(each, Tensor) else each for each in args)
        return func(*args, **(kwargs or {}))


def _positions(index: Tensor | None) -> tuple[Tensor | None, ...]:
    """A mask as the positions it chooses: what is chosen by a fake tensor has a shape only if the mask is real."""
    return index.nonzero(as_tuple=True) if index is not None and index.dtype == torch.bool else (index,)


def step_cost(learner: TrainingCriterion, batch: TrainingBatch, precision: str) -> Cost:
    """What one step costs, but for the optimiser's few operations.

    Args:
        learner: with real weights or fake ones.
        batch: with real tensors; the squares may be fake.
        precision: "no", "bf16" or "fp16".
    """
    weights = [*learner.parameters(), *learner._encoder.dense.parameters()]
    known = {each.untyped_storage()._cdata for each in weights}
    saved: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in known:
            saved[storage._cdata] = storage
        return tensor.detach()  # a tensor that keeps its own history would never be freed

    meter = Meter(weights)
    with meter, _parts_told(learner, meter):
        autocast = torch.autocast("cpu", DTYPES[precision]) if precision in DTYPES else nullcontext()
        with saved_tensors_hooks(keep, lambda tensor: tensor), autocast, AsOnCuda():
            loss = torch.stack(list(learner(batch).values())).sum()
        meter.cost.saved = sum(storage.nbytes() for storage in saved.values())
        saved.clear()
        meter.part = BACKWARD
        loss.backward()
    return meter.cost


@contextmanager
def _parts_told(learner: TrainingCriterion, meter: Meter) -> Iterator[None]:
    """Tells the meter when the frozen tower works, and for whom."""
    parts = iter((TOWER, *[TEACHERS] * len(learner._teachers)))

    def enter(*_: object) -> None:
        meter.part = next(parts)

    def leave(*_: object) -> None:
        meter.part = DECODER

    dense = learner._encoder.dense
    handles = [dense.register_forward_pre_hook(enter), dense.register_forward_hook(leave)]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class NoPhrases:
    """Stands in for `TextEncoder`, which in training only looks up what it has encoded before.

    Args:
        embed_dim: E of CLIP's joint space.
        token_width: of a token's vector.
        tokens: of the longest phrase.
        fakes: makes the tensors; real ones without it.
    """

    device = torch.device("cpu")

    def __init__(self, *, embed_dim: int, token_width: int, tokens: int, fakes: FakeTensorMode | None) -> None:
        self.embed_dim, self.token_width, self._tokens, self._fakes = embed_dim, token_width, tokens, fakes

    def __call__(self, phrases: Sequence[str]) -> PhraseFeatures:
        """Features of the right shapes."""
        count = len(phrases)
        with self._fakes or nullcontext():
            return PhraseFeatures(
                embeddings=torch.ones(count, self.embed_dim) / self.embed_dim**0.5,
                tokens=torch.ones(count, self._tokens, self.token_width),
                is_token=torch.ones(count, self._tokens, dtype=torch.bool),
            )


def learner_of(config: TrainConfig, clip: CLIP, *, fakes: FakeTensorMode | None) -> TrainingCriterion:
    """The learner of a configuration with `NoPhrases`.

    Args:
        config: which.
        clip: real, or on the meta device.
        fakes: makes fake weights in the place of those on the meta device; all are real without it.
    """
    model = config.model
    with torch.device("meta" if fakes else "cpu"):
        loaded = LoadedCLIP(clip.eval().requires_grad_(False), model.clip, model.clip, "")
        encoder = Encoder(loaded, model_size=model.model_size, output_stride=model.output_stride)
        width = encoder.encode_phrases.token_width
        encoder.encode_phrases = NoPhrases(  # type: ignore[assignment]
            embed_dim=encoder.dense.embed_dim, token_width=width, tokens=LONGEST_PHRASE, fakes=fakes
        )
        learner = TrainingCriterion(encoder, decoder_for(encoder, model.decoder), config.losses)
    if fakes:
        for module in (*learner.modules(), *encoder.dense.modules(), *clip.modules()):
            for name, weight in module._parameters.items():
                if weight is not None:
                    with fakes:
                        fake = torch.empty_like(weight, device="cpu")
                    module._parameters[name] = nn.Parameter(fake, requires_grad=weight.requires_grad)
    return learner


def batch_of(config: TrainConfig, phrases_per_image: float, *, fakes: FakeTensorMode | None) -> TrainingBatch:
    """A batch as the configuration's are, with so many phrases per image on average."""
    images, size = config.images_per_batch, config.model.model_size
    count = round(images * phrases_per_image)
    index = torch.arange(count) * images // count
    boxed = index < images * _share_with_boxes(config)
    boxes = torch.tensor([0.0, 0.0, size / 2, size / 2]).repeat(count, 1)
    boxes[~boxed] = torch.nan
    cells = size // (config.model.output_stride // 4)
    with fakes or nullcontext():
        squares = torch.zeros(images, size, size, 3, dtype=torch.uint8)
    return TrainingBatch(
        squares=squares,
        valid=torch.ones(images, cells, cells, dtype=torch.bool),
        image_ids=torch.arange(images),
        phrases=["a phrase"] * count,
        boxes_xyxy=boxes,
        boxed=boxed,
        image_index=index,
        region_ids=torch.where(boxed, 1, -1) * torch.arange(1, count + 1),
    )


def _share_with_boxes(config: TrainConfig) -> float:
    """Of a batch's images; where boxes are few, they come up in half of the places (`TrainingItems`)."""
    if config.supervision == "mixed" and config.boxes_fraction:
        return max(0.5, config.boxes_fraction)
    return float(config.supervision == "boxes")
