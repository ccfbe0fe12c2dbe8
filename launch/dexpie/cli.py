"""The command line: finds the command, has its options read, turns errors into one line and a status."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dexpie_core.errors import DexpieError, UsageError

PROG = "dexpie"
OK, FAILURE, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


@dataclass(frozen=True)
class CommandEntry:
    """Where a command lives; nothing of it is imported before it is called for."""

    words: tuple[str, ...]
    module: str
    options: str  # name of its options dataclass
    function: str  # name of its function: options -> exit status or None
    summary: str

    @property
    def name(self) -> str:
        return " ".join(self.words)


def _entry(name: str, module: str, options: str, function: str, summary: str) -> CommandEntry:
    return CommandEntry(tuple(name.split()), module, options, function, summary)


COMMANDS: tuple[CommandEntry, ...] = (
    _entry("up", "dexpie.commands.up", "UpOptions", "run_up", "start and supervise the node graph of a cell"),
    _entry("collect", "dexpie.commands.collect", "CollectOptions", "run_collect",
           "record episodes: demonstrations, or rollouts of a policy and their corrections"),
    _entry("console", "dexpie.commands.console", "ConsoleOptions", "run_console",
           "what the operator sees and presses, beside a running graph"),
    _entry("convert", "dexpie.commands.convert", "ConvertOptions", "run_convert", "turn bags into a dataset"),
    _entry("import", "dexpie.commands.import_data", "ImportOptions", "run_import",
           "turn HDF5 or Zarr files of the authors' tools into a dataset"),
    _entry("export", "dexpie.commands.export", "ExportOptions", "run_export",
           "write a dataset for LeRobot or as diffusion_policy's Zarr replay buffer"),
    _entry("curate show", "dexpie.commands.curate", "CurateShowOptions", "run_curate_show",
           "show the edits of bags or of a dataset, and what they make of the episodes"),
    _entry("curate drop", "dexpie.commands.curate", "CurateDropOptions", "run_curate_drop",
           "leave episodes out"),
    _entry("curate outcome", "dexpie.commands.curate", "CurateOutcomeOptions", "run_curate_outcome",
           "correct how episodes ended"),
    _entry("curate tag", "dexpie.commands.curate", "CurateTagOptions", "run_curate_tag", "tag episodes"),
    _entry("curate hide", "dexpie.commands.curate", "CurateHideOptions", "run_curate_hide",
           "leave failures out whose cause no image shows"),
    _entry("curate split", "dexpie.commands.curate", "CurateSplitOptions", "run_curate_split",
           "part the episodes by stage"),
    _entry("curate undo", "dexpie.commands.curate", "CurateUndoOptions", "run_curate_undo",
           "take an edit back"),
    _entry("curate apply", "dexpie.commands.curate", "CurateApplyOptions", "run_curate_apply",
           "write a new dataset of a dataset's episodes after its edits"),
    _entry("inspect", "dexpie.commands.inspect", "InspectOptions", "run_inspect",
           "say what a bag, a dataset or a training run holds"),
    _entry("features", "dexpie.commands.features", "FeaturesOptions", "run_features",
           "compute the features of a frozen encoder once, for all images of a dataset"),
    _entry("train critic", "dexpie.commands.train_critic", "TrainCriticOptions", "run_train_critic",
           "train the distributional critic on successes and failures"),
    _entry("label", "dexpie.commands.label", "LabelOptions", "run_label",
           "write value, advantage and optimality of every row of a dataset"),
    _entry("train actor", "dexpie.commands.train_actor", "TrainActorOptions", "run_train_actor",
           "train the diffusion policy on a dataset"),
    _entry("evaluate", "dexpie.commands.evaluate", "EvaluateOptions", "run_evaluate",
           "measure the success rate of a policy in the simulated cell"),
    _entry("plot curves", "dexpie.commands.plot", "PlotCurvesOptions", "run_plot_curves",
           "draw the learning curves of runs"),
    _entry("plot compare", "dexpie.commands.plot_compare", "PlotCompareOptions", "run_plot_compare",
           "compare evaluations: success rates, paired differences, intervals"),
    _entry("plot values", "dexpie.commands.plot_values", "PlotValuesOptions", "run_plot_values",
           "draw the critic's value over time of episodes"),
    _entry("plot advantage", "dexpie.commands.plot", "PlotAdvantageOptions", "run_plot_advantage",
           "draw the advantages of a labelled dataset, and optimality by source"),
    _entry("plot reliability", "dexpie.commands.plot", "PlotReliabilityOptions", "run_plot_reliability",
           "draw how far a critic's values can be trusted on unseen episodes"),
    _entry("plot strip", "dexpie.commands.plot", "PlotStripOptions", "run_plot_strip",
           "draw the camera pictures of an episode"),
    _entry("experiment improvement", "dexpie.commands.experiment", "ImprovementOptions", "run_improvement",
           "compare BC, HG-DAgger, RECAP and DexPIE (the paper's Figure 5)"),
    _entry("experiment async", "dexpie.commands.experiment", "AsyncOptions", "run_async",
           "compare asynchronous and synchronous collection (Figure 6)"),
    _entry("experiment staged", "dexpie.commands.experiment", "StagedOptions", "run_staged",
           "compare collection from all stages with collection from the start (Figure 8)"),
    _entry("experiment ablation", "dexpie.commands.experiment", "AblationOptions", "run_ablation",
           "compare settings of the method with the default, one at a time"),
    _entry("experiment pool", "dexpie.commands.experiment", "PoolOptions", "run_pool",
           "put training seeds that were run apart into one table"),
    _entry("demo", "dexpie.commands.demo", "DemoOptions", "run_demo",
           "go the whole way once: demonstrate, train, evaluate, drive the cell under ROS"),
)  # fmt: skip


def help_text() -> str:
    """What `dexpie --help` shows."""
    width = max(len(command.name) for command in COMMANDS) + 2
    lines = [
        f"usage: {PROG} COMMAND [options]      ({PROG} COMMAND --help: units and defaults of its options)",
        "",
    ]
    lines += [f"  {command.name:<{width}}{command.summary}" for command in COMMANDS]
    lines += ["", "  --debug (or DEXPIE_DEBUG=1): show the whole traceback of an error",
              "exit status: 0 success, 1 failure, 2 wrong use"]  # fmt: skip
    return "\n".join(lines)


def find_command(arguments: Sequence[str]) -> tuple[CommandEntry, list[str]]:
    """The command that the first words name, and the arguments that are left for it."""
    for command in COMMANDS:
        if tuple(arguments[: len(command.words)]) == command.words:
            return command, list(arguments[len(command.words) :])
    first = arguments[0]
    seconds = [command.words[1] for command in COMMANDS if command.words[0] == first]
    if seconds:
        given = f"'{first} {arguments[1]}'" if len(arguments) > 1 else f"'{first}' alone"
        raise UsageError(
            f"no command {given}; choose from {', '.join(f'{first} {second}' for second in seconds)}"
        )
    raise UsageError(f"no command '{first}'; choose from {', '.join(command.name for command in COMMANDS)}")


def _one_line(drawn: str) -> str:
    """The message of tyro's error on one line; tyro draws a box round it where the terminal has one."""
    sections: list[list[str]] = [[]]
    for line in drawn.splitlines():
        text = line.strip("│|╭╮╰╯+").rstrip("─ ")
        if text.strip(" ─-"):
            sections[-1].append(text)
        elif "──" in line or "--" in line:
            sections.append([])
    title = sections[0][0] if sections[0] else ""
    message = sections[0][1:] or (sections[1] if len(sections) > 1 else [])
    if "Required options" in title and len(message) > 1:
        indent = min(len(line) - len(line.lstrip()) for line in message[1:])
        missing = [line.split()[0] for line in message[1:] if len(line) - len(line.lstrip()) == indent]
        return f"{', '.join(missing)} is missing"
    return " ".join(line.strip() for line in message).partition(" Got errors:")[0]


def parse_options(command: CommandEntry, options_type: Any, arguments: Sequence[str]) -> Any:
    """The options dataclass filled from the arguments; wrong ones become a UsageError of one line."""
    import tyro

    errors = io.StringIO()
    columns = os.environ.get("COLUMNS")
    if not {"-h", "--help"} & set(arguments):
        os.environ["COLUMNS"] = "1000"  # keeps tyro from breaking its message into lines
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(options_type, prog=f"{PROG} {command.name}", args=list(arguments))
    except SystemExit as ended:
        if ended.code in (0, None):
            raise
        message = _one_line(errors.getvalue()) or "wrong use"
        raise UsageError(f"{message} (see: {PROG} {command.name} --help)") from None
    finally:
        if columns is None:
            os.environ.pop("COLUMNS", None)
        else:
            os.environ["COLUMNS"] = columns


def _call(arguments: Sequence[str]) -> int:
    command, rest = find_command(arguments)
    module = importlib.import_module(command.module)
    options = parse_options(command, getattr(module, command.options), rest)
    status = getattr(module, command.function)(options)
    return OK if status is None else int(status)


def run(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name; its exit status."""
    debug = "--debug" in arguments or os.environ.get("DEXPIE_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    if arguments[:1] in (["-h"], ["--help"], ["help"]):
        print(help_text())
        return OK
    try:
        if not arguments:
            raise UsageError(f"no command given; see: {PROG} --help")
        return _call(arguments)
    except SystemExit as ended:  # --help of a command
        return int(ended.code or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", INTERRUPTED, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except UsageError as error:
        return _fail(str(error), WRONG_USE, debug)
    except DexpieError as error:
        return _fail(str(error), FAILURE, debug)
    except Exception as error:
        text = f"unexpected {type(error).__name__}: {error} (run again with --debug to see where)"
        return _fail(text, FAILURE, debug)


def _fail(message: str, status: int, debug: bool) -> int:
    """Print the error as one line (after the traceback where asked for)."""
    if debug:
        traceback.print_exc()
    print(f"{PROG}: {' '.join(message.split())}", file=sys.stderr)
    return status
