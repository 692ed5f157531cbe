"""A GPU for machines without one: its tensors say that they are on "cuda:0", and compute on the CPU.

As with a real one, an operation on tensors of both devices is refused (numbers, of no dimension, may be anywhere), and
NumPy cannot look into its tensors. Unlike PyTorch's `FakeTensorMode` it has values, so that what it computes can be
held against the CPU. It has no backward pass, whose placement is PyTorch's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda:0")
CPU = torch.device("cpu")
aten = torch.ops.aten


class OnGPU(Tensor):
    """A tensor of the pretended GPU."""

    held: Tensor  # on the CPU
    waits: ClassVar[int] = 0  # so far, of a number that Python asked for: a GPU has to finish all its work first
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, held: Tensor) -> OnGPU:
        self: OnGPU = Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(), dtype=held.dtype, device=GPU
        )
        self.held = held
        return self

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})

    def __repr__(self, *, tensor_contents: object = None) -> str:
        return f"OnGPU({tuple(self.held.shape)})"

    def tolist(self) -> list[Any]:
        OnGPU.waits += 1
        return self.held.tolist()

    def numpy(self, *, force: bool = False) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy: use Tensor.cpu() first")


class _PretendedGPU(TorchDispatchMode):
    """Makes tensors on "cuda:0" where PyTorch is asked for them, in the place of `FakeTensorMode`."""

    _mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """The device, to be used in the block."""
    torch._C._ensureCUDADeviceGuardSet()
    torch._C._set_only_lift_cpu_tensors(True)  # `torch.tensor` asks for its device by an operation, not by itself
    torch.__future__.set_swap_module_params_on_conversion(True)  # a module's tensors are of another class on a GPU
    try:
        with _PretendedGPU():
            yield GPU
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
        torch._C._set_only_lift_cpu_tensors(False)


def _computed(func: Callable[..., Any], args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]
    own = {id(each.held): each for each in tensors if isinstance(each, OnGPU)}
    copies = func in (aten._to_copy.default, aten.copy_.default)
    if own and not copies and any(each.ndim and not isinstance(each, OnGPU) for each in tensors):
        raise RuntimeError(f"{func}: expected all tensors to be on the same device, found cuda:0 and cpu")
    OnGPU.waits += func is aten._local_scalar_dense.default and bool(own)
    if func is aten._fused_sdp_choice.default:
        return 0  # of the ways to compute attention the plain one, which is the same on every device
    device = kwargs.get("device")
    if device is not None:
        stays, kwargs = torch.device(device).type == "cuda", {**kwargs, "device": CPU}
    else:
        stays = isinstance(args[0], OnGPU) if copies else bool(own)
    args, kwargs = tree_map(lambda each: each.held if isinstance(each, OnGPU) else each, (args, kwargs))

    def placed(result: Any) -> Any:
        if isinstance(result, Tensor) and stays:
            return own.get(id(result)) if id(result) in own else OnGPU(result)
        return result

    return tree_map(placed, func(*args, **kwargs))
