"""The one training loop: accelerate, AdamW, warm-up and cosine, EMA, checkpoints, learning curve."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from torch import Tensor, nn
from tqdm import tqdm

from dexpie_core.errors import DexpieError
from dexpie_training.ahead import Ahead
from dexpie_training.checkpoint import TRAINING_FILE, Checkpoint, RunFolder, find_checkpoint
from dexpie_training.config import OptimiserConfig
from dexpie_training.curve import CURVE_FIELDS, CURVE_FILE, CurveLog, truncate_curve
from dexpie_training.ema import ParameterAverage
from dexpie_training.sampling import batch_positions
from dexpie_training.tracking import Tracker, Tracking


class Learner(Protocol):
    """What is trained: a module whose forward is the loss, and batches for it."""

    train_count: int

    @property
    def module(self) -> nn.Module:
        """The module."""

    def batch(self, positions: NDArray[np.int64], draw: np.random.Generator) -> tuple[Any, ...]:
        """Arguments of the module's forward, but for the generator, for positions in 0..train_count-1.

        draw: what is left to chance in it, a function of seed and step.
        """

    def held_out_loss(self, device: torch.device) -> float | None:
        """Loss on held-out episodes, deterministic; None without any."""

    def describe(self) -> dict[str, Any]:
        """What checkpoint.json says: method, config, dataset, normalisation."""


@dataclass(frozen=True)
class LoopConfig:
    """How long and how to train."""

    optimiser: OptimiserConfig
    steps: int
    max_minutes: float | None = None
    precision: str = "fp32"
    seed: int = 0
    log_every_steps: int = 50
    evaluate_every_steps: int = 500
    save_every_steps: int = 2000
    trackers: Sequence[Tracker] = ()


@dataclass
class _State:
    step: int = 0
    elapsed_s: float = 0.0  # of earlier sessions of this run and this one
    losses: list[Tensor] = field(default_factory=list)
    held_out: float | None = None
    evaluated_step: int = -1
    window_began: tuple[int, float] = (0, 0.0)


class TrainingLoop:
    """Runs a Learner in a RunFolder. All randomness of a step derives from (seed, step)."""

    def __init__(self, learner: Learner, config: LoopConfig, run: RunFolder) -> None:
        self.learner, self.config, self.run = learner, config, run
        precision = {"fp32": "no", "bf16": "bf16"}[config.precision]
        # accelerate keeps the first precision of a process for good, also for a later, independent run.
        AcceleratorState._reset_state(reset_partial_state=True)
        self.accelerator = Accelerator(mixed_precision=precision, log_with=list(config.trackers) or None)
        self._tracking = Tracking(self.accelerator, bool(config.trackers))
        o = config.optimiser
        optimiser = torch.optim.AdamW(
            [p for p in learner.module.parameters() if p.requires_grad],
            lr=o.learning_rate,
            betas=o.betas,
            weight_decay=o.weight_decay,
            fused=True,
        )
        self.module, self.optimiser = self.accelerator.prepare(learner.module, optimiser)
        self.ema = ParameterAverage(self._bare(), o.ema_power, o.ema_max)
        self.state = _State()
        self._batches = Ahead(self._arguments)
        self._stop = False

    def _bare(self) -> nn.Module:
        module: nn.Module = self.accelerator.unwrap_model(self.module)
        return module

    def resume(self, checkpoint: Checkpoint) -> None:
        """Take weights, average, optimiser and counters from a checkpoint."""
        tensors = checkpoint.tensors(TRAINING_FILE)
        _load_prefixed(self._bare(), tensors, "live.")
        self.ema.load(checkpoint.tensors())
        parameters = self.optimiser.param_groups[0]["params"]
        for index, parameter in enumerate(parameters):
            slots = {k.split(".", 2)[2]: v for k, v in tensors.items() if k.startswith(f"optimiser.{index}.")}
            self.optimiser.state[parameter] = {
                k: v.clone().to(parameter.device) if v.ndim else v.clone() for k, v in slots.items()
            }
        self.state = _State(checkpoint.step, float(checkpoint.meta["elapsed_s"]))
        truncate_curve(self.run.path / CURVE_FILE, checkpoint.step)

    def train(self) -> Checkpoint | None:
        """Train to the end of the budget, or to Ctrl-C: either way the last state is saved."""
        began = time.monotonic() - self.state.elapsed_s
        o = self.config.optimiser
        self.state.window_began = (self.state.step, self.state.elapsed_s)
        generator = torch.Generator()
        checkpoint = None
        self._tracking.start({"run": str(self.run.path), "precision": self.config.precision, **vars(o)})
        with (
            _InterruptFlag(self._request_stop),
            CurveLog(self.run.path, self.accelerator.is_main_process) as log,
        ):
            bar = tqdm(total=self.config.steps, initial=self.state.step, unit="step", **_bar_style())
            while not self._done() and not self._stop:
                self._one_step(generator)
                self.state.elapsed_s = time.monotonic() - began
                bar.update(1)
                if self._due(self.config.log_every_steps):
                    self._report(log, bar)
                if self._due(self.config.save_every_steps):
                    checkpoint = self._save()
            bar.close()
            self._batches.close()
            if checkpoint is None or checkpoint.step != self.state.step:
                self._report(log, None)
                checkpoint = self._save()
        self._tracking.end()
        if self._stop:
            raise KeyboardInterrupt
        return checkpoint

    def _request_stop(self) -> None:
        self._stop = True

    def progress(self) -> float:
        """Share of the budget that is used, of steps or of minutes, whichever is further."""
        share = self.state.step / self.config.steps
        if self.config.max_minutes is not None:
            share = max(share, self.state.elapsed_s / (60.0 * self.config.max_minutes))
        return min(share, 1.0)

    def learning_rate(self) -> float:
        """Linear warm-up over steps, then cosine over the budget to zero."""
        o = self.config.optimiser
        warm = min(1.0, (self.state.step + 1) / max(1, o.warmup_steps))
        return o.learning_rate * warm * 0.5 * (1.0 + math.cos(math.pi * self.progress()))

    def _done(self) -> bool:
        return self.progress() >= 1.0

    def _due(self, every: int) -> bool:
        return self.state.step % every == 0 or self._done()

    def _arguments(self, step: int) -> list[Any]:
        """This process's batch of a step, ready to be copied to the device."""
        size, a = self.config.optimiser.batch_size, self.accelerator
        whole = batch_positions(self.learner.train_count, size * a.num_processes, step, self.config.seed)
        draw = np.random.default_rng((self.config.seed, step, a.process_index))
        batch = self.learner.batch(whole[a.process_index * size : (a.process_index + 1) * size], draw)
        return [part.pin_memory() if a.device.type == "cuda" else part for part in batch]

    def _one_step(self, generator: torch.Generator) -> None:
        c, a = self.config, self.accelerator
        step_seed = ((c.seed << 32) + self.state.step) * 64 + a.process_index
        generator.manual_seed(step_seed % 2**63)
        torch.manual_seed(step_seed % 2**63)  # for modules that draw on their own
        for group in self.optimiser.param_groups:
            group["lr"] = self.learning_rate()
        self.module.train()
        arguments = [x.to(a.device) for x in self._batches(self.state.step)]
        with a.autocast():
            loss = self.module(*arguments, generator)
        self.optimiser.zero_grad(set_to_none=True)
        a.backward(loss)
        a.clip_grad_norm_(self.module.parameters(), c.optimiser.gradient_clip)
        self.optimiser.step()
        self.state.step += 1
        self.ema.update(self.state.step)
        self.state.losses.append(loss.detach())

    def _report(self, log: CurveLog, bar: Any) -> None:
        state = self.state
        if not state.losses:
            return
        train_loss = float(torch.stack(state.losses).float().mean())
        if not math.isfinite(train_loss):
            raise DexpieError(
                f"{self.run.path}: the loss is {train_loss} at step {state.step}; lower --learning-rate"
            )
        state.losses.clear()
        held_out = self._evaluate() if self._due(self.config.evaluate_every_steps) or bar is None else None
        step_before, time_before = state.window_began
        rate = (state.step - step_before) / max(state.elapsed_s - time_before, 1e-9)
        samples = rate * self.config.optimiser.batch_size * self.accelerator.num_processes
        state.window_began = (state.step, state.elapsed_s)
        row = (state.step, state.elapsed_s, train_loss, held_out, self.learning_rate(), samples)
        values = dict(zip(CURVE_FIELDS, row, strict=True))
        log.write(values)
        self._tracking.write(values)
        if bar is not None:
            shown = {"loss": f"{train_loss:.4f}", "samples/s": f"{samples:.0f}"}
            if state.held_out is not None:
                shown["held out"] = f"{state.held_out:.4f}"
            if self.config.max_minutes is not None:
                shown["budget"] = f"{100 * self.progress():.0f} %"
            bar.set_postfix(shown, refresh=False)

    def _evaluate(self) -> float | None:
        """Held-out loss of the averaged weights."""
        if self.state.evaluated_step == self.state.step:
            return self.state.held_out
        self.state.evaluated_step = self.state.step
        self.ema.swap()
        self._bare().eval()
        try:
            with torch.inference_mode(), self.accelerator.autocast():
                self.state.held_out = self.learner.held_out_loss(self.accelerator.device)
        finally:
            self.ema.swap()
        return self.state.held_out

    def _save(self) -> Checkpoint | None:
        self.accelerator.wait_for_everyone()
        if not self.accelerator.is_main_process:
            return None
        training = {f"live.{k}": v.detach().contiguous() for k, v in self._bare().state_dict().items()}
        for index, parameter in enumerate(self.optimiser.param_groups[0]["params"]):
            for slot, value in self.optimiser.state[parameter].items():
                training[f"optimiser.{index}.{slot}"] = value
        held_out = self._evaluate()
        meta = {**self.learner.describe(), "elapsed_s": self.state.elapsed_s, "held_out_loss": held_out}
        return self.run.save(self.state.step, meta, self.ema.state_dict(), training, held_out)


def run_loop(learner: Learner, config: LoopConfig, run: RunFolder, resume: bool) -> Checkpoint:
    """Train from the start, or on from the latest checkpoint; the last checkpoint."""
    loop = TrainingLoop(learner, config, run)
    if resume:
        loop.resume(find_checkpoint(run.path))
    return loop.train() or find_checkpoint(run.path)


def _load_prefixed(module: nn.Module, tensors: dict[str, Tensor], prefix: str) -> None:
    module.load_state_dict({k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)})


def _bar_style() -> dict[str, Any]:
    """A live bar on a terminal, a line every ten seconds elsewhere."""
    interactive = sys.stderr.isatty()
    return {"desc": "training", "dynamic_ncols": True, "mininterval": 0.5 if interactive else 10.0}


class _InterruptFlag:
    """Turns Ctrl-C into a call, so that a step is never left half done. A second one interrupts at once."""

    def __init__(self, on_interrupt: Callable[[], None]) -> None:
        self._on_interrupt = on_interrupt
        self._previous: Any = None

    def __enter__(self) -> None:
        if threading.current_thread() is threading.main_thread():
            self._previous = signal.signal(signal.SIGINT, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, self._previous)
        self._on_interrupt()

    def __exit__(self, *_: object) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
