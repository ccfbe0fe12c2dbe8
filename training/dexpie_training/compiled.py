"""Modules that OpenVINO computes: on a CPU several times faster than torch, for inference at fixed shapes."""

import importlib.util
import sys
import warnings
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

ENGINE: Final = "openvino"
TELEMETRY: Final = "openvino_telemetry"


def engine_installed() -> bool:
    """Whether the engine is there; it is an optional dependency."""
    return importlib.util.find_spec(ENGINE) is not None


def _engine() -> Any:
    """The engine, without the part of it that reports its use to the maker when it is imported."""
    if ENGINE not in sys.modules:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # its import fails, which the engine allows for
    import openvino

    return openvino


class CompiledModule(nn.Module):
    """A module of tensors to one tensor, translated at the first call with new shapes.

    half: bfloat16 inside; inputs and output stay as they are. Threads: those that torch has at that call.
    """

    def __init__(self, module: nn.Module, half: bool) -> None:
        super().__init__()
        self.module, self._half = module.eval(), half
        self._requests: dict[tuple[torch.Size, ...], Any] = {}

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the module gives for these."""
        shapes = tuple(part.shape for part in inputs)
        if shapes not in self._requests:
            self._requests[shapes] = self._translated(inputs)
        arrays = [part.detach().contiguous().numpy() for part in inputs]
        found = self._requests[shapes].infer(arrays, share_inputs=True, share_outputs=True)
        return torch.from_numpy(found[0]).clone()  # the next call writes to the same memory

    def _translated(self, inputs: Sequence[Tensor]) -> Any:
        engine = _engine()
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # shapes become constants, as intended
            model = engine.convert_model(
                self.module, example_input=tuple(inputs), input=[tuple(part.shape) for part in inputs]
            )
        settings = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "INFERENCE_PRECISION_HINT": "bf16" if self._half else "f32",
        }
        return engine.Core().compile_model(model, "CPU", settings).create_infer_request()
