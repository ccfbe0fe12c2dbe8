"""Modules made ready for inference: by OpenVINO on a CPU, as a CUDA graph on a GPU, in bfloat16."""

import importlib.util
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn

HALF: Final = torch.bfloat16
ENGINE: Final = "openvino"
TELEMETRY: Final = "openvino_telemetry"
WARM_UP_RUNS: Final = 3  # libraries choose and allocate in the first ones, which must not be captured


class HalfModule(nn.Module):
    """A module of tensors to one tensor in bfloat16, float32 outside; weights are converted once."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        half: nn.Module = module.to(HALF)
        self.module: nn.Module = half.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the module gives for these; whole numbers stay as they are."""
        halves = [part.to(HALF) if part.is_floating_point() else part for part in inputs]
        out: Tensor = self.module(*halves)
        return out.to(torch.float32)


class ByShape(nn.Module):
    """A module of tensors to one tensor, made ready at the first call with new shapes."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module.eval()
        self._ready: dict[tuple[torch.Size, ...], Callable[[Sequence[Tensor]], Tensor]] = {}

    def make_ready(self, inputs: Sequence[Tensor]) -> Callable[[Sequence[Tensor]], Tensor]:
        """What to call with inputs of the shapes of these."""
        raise NotImplementedError

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the module gives for these."""
        shapes = tuple(part.shape for part in inputs)
        if shapes not in self._ready:
            self._ready[shapes] = self.make_ready(inputs)
        return self._ready[shapes](inputs)


class CompiledModule(ByShape):
    """Translated for OpenVINO, on a CPU several times faster than torch.

    half: bfloat16 inside; inputs and output stay as they are. Threads: as many as torch has at first.
    """

    def __init__(self, module: nn.Module, half: bool) -> None:
        super().__init__(module)
        self._half = half

    def make_ready(self, inputs: Sequence[Tensor]) -> Callable[[Sequence[Tensor]], Tensor]:
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
        if not self._half:
            settings["SNIPPETS_MODE"] = "DISABLE"  # 2026.4 crashes on ResNet-18 with GroupNorm
        request = engine.Core().compile_model(model, "CPU", settings).create_infer_request()

        def run(given: Sequence[Tensor]) -> Tensor:
            arrays = [part.detach().contiguous().numpy() for part in given]
            found = request.infer(arrays, share_inputs=True, share_outputs=True)
            return torch.from_numpy(found[0]).clone()  # the next call writes to the same memory

        return run


class CapturedModule(ByShape):
    """Captured as a CUDA graph: its kernels are launched at once, one by one they wait for the CPU."""

    def make_ready(self, inputs: Sequence[Tensor]) -> Callable[[Sequence[Tensor]], Tensor]:
        held = [part.clone() for part in inputs]
        current, aside = torch.cuda.current_stream(), torch.cuda.Stream()  # type: ignore[no-untyped-call]
        aside.wait_stream(current)
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP_RUNS):
                self.module(*held)
        current.wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out: Tensor = self.module(*held)

        def run(given: Sequence[Tensor]) -> Tensor:
            for mine, part in zip(held, given, strict=True):
                mine.copy_(part)
            graph.replay()
            return out.clone()  # the next call writes to the same memory

        return run


def engine_installed() -> bool:
    """Whether OpenVINO is there; it is an optional dependency."""
    return importlib.util.find_spec(ENGINE) is not None


def _engine() -> Any:
    """OpenVINO, without the part of it that reports its use to the maker when it is imported."""
    if ENGINE not in sys.modules:
        sys.modules[TELEMETRY] = None  # type: ignore[assignment]  # its import fails, which is allowed for
    import openvino

    return openvino
