"""`dexpie label`: options of labelling. Light to import; the work is in labels."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final, Literal

import tyro

from dexpie_core.errors import UsageError
from dexpie_training.advantage import AtTakeover, Form, OptimalityConfig, QuantilesOver
from dexpie_training.config import Preset

OPTIMALITY_PRESETS: Final[dict[Preset, OptimalityConfig]] = {
    "paper": OptimalityConfig(),
    "release": OptimalityConfig(horizon_steps=27, past_end="last_value"),
    # Most of what a good policy does is as good as what the human does, give or take the critic's error.
    "default": OptimalityConfig(quantiles_over="human", low_quantile=0.1, high_quantile=0.3),
}


@dataclass(frozen=True)
class LabelOptions:
    """Label every row of a dataset with value, advantage and optimality. The dataset stays as it is."""

    dataset: Annotated[Path, tyro.conf.Positional]
    """dataset folder, the one that the critic was trained on"""
    critic: Path
    """run folder made by `dexpie train critic`"""
    name: str
    """name of the labels: DATASET/labels/NAME.parquet and NAME.json"""
    preset: Preset = "default"
    """values of what is not given: paper, release (the authors' code) or default"""
    checkpoint: Literal["latest", "best"] = "latest"
    """which checkpoint of the run: the last, or the one with the lowest held-out loss"""
    form: Form | None = None
    """continuous (DexPIE) or binary (RECAP, the paper's quantiles with it) (default: continuous)"""
    horizon_steps: int | None = None
    """N of the advantage [steps at 25 Hz] (default: 24; release 27)"""
    at_takeover: AtTakeover | None = None
    """where a human takes over within N steps: cross (what he does counts too; default) or stop"""
    low_quantile: float | None = None
    """quantile of the advantages where optimality is 0.5 (default: 0.1; paper 0.6)"""
    high_quantile: float | None = None
    """quantile of the advantages where optimality is sigmoid(slope) (default: 0.3; paper 0.8)"""
    slope: float | None = None
    """alpha of the sigmoid (default: 5)"""
    quantiles_over: QuantilesOver | None = None
    """rows that quantiles are taken over: the human's (default), all of them (paper) or each task's own"""

    def __post_init__(self) -> None:
        if not self.name or self.name != Path(self.name).name or self.name.startswith("."):
            raise UsageError(f"--name {self.name!r} must be a plain file name")
        _ = self.config  # wrong values are refused before anything is read

    @property
    def config(self) -> OptimalityConfig:
        """The preset's values with what the options say instead."""
        names = (
            "form", "horizon_steps", "at_takeover", "low_quantile", "high_quantile", "slope",
            "quantiles_over",
        )  # fmt: skip
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        # RECAP has its own rule, whatever the default says of the continuous form.
        preset = "paper" if self.form == "binary" and self.preset == "default" else self.preset
        try:
            return replace(OPTIMALITY_PRESETS[preset], **given)
        except ValueError as error:
            raise UsageError(f"--{str(error).replace('_', '-')}") from None


@dataclass(frozen=True)
class LabelReport:
    """What the labels came to."""

    file: Path
    rows: int
    human_rows: int
    quantiles: dict[str, tuple[float, float]]
    mean_optimality: float
    """over the rows that no human decided"""

    def __str__(self) -> str:
        found = "; ".join(f"{name}: {low:.4f} and {high:.4f}" for name, (low, high) in self.quantiles.items())
        return (
            f"{self.file}: {self.rows} rows, {self.human_rows} of them a human's; advantage quantiles over "
            f"{found}; mean optimality of the policy's rows {self.mean_optimality:.2f}"
        )


def run_label(options: LabelOptions) -> LabelReport:
    """Label; raises UsageError or DexpieError."""
    from dexpie_training.labels import label_dataset

    return label_dataset(options)
