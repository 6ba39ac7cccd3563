"""accelerate's launcher in a process of its own: number of processes, exit codes of the ranks, final message.

    python -m qsv_eval.launching.launcher ENDS.json --multi_gpu --num_processes 2 … -m qsv_eval.cli run …

Only `supervisor.launch` starts it. ENDS.json holds the exit code of each rank that failed, negative for a signal, in
the order of their ends.
"""

import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NamedTuple

from qsv_eval.launching.rank_status import die_with_parent
from qsv_eval.launching.signals import exit_code, stop_message
from qsv_eval.launching.supervisor import LaunchPlan, LaunchResult, RankExit, launch
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.plurals import counted
from qsv_eval.status.progress import RunStatus, read_status, safe_answers
from qsv_eval.status.table import sample_name

__all__ = ["NextStep", "ProcessLayout", "accelerators_here", "main", "next_step", "process_layout", "supervise"]


class ProcessLayout(NamedTuple):
    """Processes of a run on this machine."""

    processes: int
    on_cpu: bool


class NextStep(NamedTuple):
    """Final message and exit code of the supervisor."""

    code: int
    lines: tuple[str, ...]


def accelerators_here() -> int:
    """Return how many GPUs this process may use."""
    import torch

    return torch.accelerator.device_count()


def process_layout(asked: str, gpus_per_process: int, device: str | None, accelerators: int) -> ProcessLayout:
    """Return how many processes `--processes` means.

    Args:
        asked: "auto" (one for each GPU, or group of GPUs; one where there is none) or a number.
        gpus_per_process: GPUs of one process.
        device: what `--device` says.
        accelerators: GPUs of this machine that may be used.

    Raises:
        SetupError: there are not that many, or the options contradict each other.
    """
    if "WORLD_SIZE" in os.environ:
        raise SetupError(
            f"--processes starts processes itself, but a launcher already started this one (WORLD_SIZE="
            f"{os.environ['WORLD_SIZE']}); leave --processes out under accelerate, torchrun or srun"
        )
    if asked != "auto" and (not asked.isdigit() or int(asked) < 1):
        raise SetupError(f"--processes {asked!r}: give a number, or auto for one process for each GPU")
    on_cpu = device == "cpu" or (device is None and accelerators == 0)
    most = accelerators // gpus_per_process
    processes = int(asked) if asked != "auto" else (1 if on_cpu else max(1, most))
    if processes > 1 and ":" in (device or ""):
        raise SetupError(f"--device {device} is one device, but --processes asks for {processes}; leave --device out")
    if not on_cpu and processes > most:
        raise SetupError(
            f"--processes {processes} with {gpus_per_process} GPU(s) each needs {processes * gpus_per_process}, and "
            f"this machine has {accelerators}; ask for fewer, or for --device cpu"
        )
    return ProcessLayout(processes, on_cpu)


def supervise(words: list[str], output: Path, chosen: ProcessLayout) -> NextStep:
    """Run `qsv-eval WORDS` in several processes and say how it went."""
    rank_words = tuple(_without(words, "--processes"))
    return next_step(launch(LaunchPlan("qsv_eval.cli", rank_words, chosen.processes, chosen.on_cpu)), output)


def next_step(ending: LaunchResult, output: Path) -> NextStep:
    """Return the exit code of a launch, and what there is to say about it."""
    if ending.signal is not None:
        return NextStep(exit_code(ending.signal), (stop_message(output),))
    if all(end.spoke and end.code in (0, 3) for end in ending.ranks):
        return NextStep(max(end.code or 0 for end in ending.ranks), ())
    if all(end.pid is None and end.code is None for end in ending.ranks):
        return NextStep(1, ("qsv-eval: accelerate's launcher started no rank; what it says of that stands above",))
    worst = ending.ranks[0]
    if worst.code == 2 and worst.spoke:
        return NextStep(2, tuple(_messages(ending)))
    code = 1 if worst.code == 1 else 3
    return NextStep(code, (*_deaths(ending), _what_is_safe(ending, output)))


def _messages(ending: LaunchResult) -> list[str]:
    """Return what the ranks could not go on for; as a rule all say the same."""
    messages = [(end.rank, end.message) for end in ending.ranks if end.message]
    if len({message for _, message in messages}) <= 1:
        return [f"qsv-eval: {message}" for _, message in messages[:1]]
    return [f"qsv-eval: rank {rank}: {message}" for rank, message in messages]


def _deaths(ending: LaunchResult) -> list[str]:
    """Name the ranks that died; of those that fell with them only that they did."""
    dead = [end for end in ending.ranks if end.at_fault and not end.spoke] or list(ending.ranks[:1])
    others = len(ending.ranks) - len(dead)
    after = {0: "", 1: "; the other was ended"}.get(others, f"; the other {others} were ended")
    return [f"qsv-eval: {', '.join(_death(end, len(ending.ranks)) for end in dead)}{after}"]


def _death(end: RankExit, of: int) -> str:
    who = f"rank {end.rank} of {of}" + (f" (pid {end.pid})" if end.pid else "")
    if end.code is None:
        return f"{who} did not end by itself and was killed"
    if end.code < 0:
        name = signal.Signals(-end.code).name
        hint = ": out of memory? (dmesg tells)" if -end.code == signal.SIGKILL else ""
        return f"{who} was killed by {name}{hint}"
    return f"{who} stopped with exit code {end.code}" + (f" ({end.message})" if end.message else "")


def _what_is_safe(ending: LaunchResult, output: Path) -> str:
    try:
        status: RunStatus | None = read_status(output, ending.started_at)
    except SetupError:
        status = None
    safe = f"qsv-eval: {counted(safe_answers(output), 'answer')} safe in {output}"
    if status is None or status.started_at < ending.started_at:
        return f"{safe}; this run had not begun to ask; give the same command again"
    missing = sum(task.missing for task in status.tasks)
    names = f": {sample_name(status.missing, output)}" if status.missing else ""
    return f"{safe}; {missing} are missing{names}; give the same command again to go on"


def _without(words: list[str], option: str) -> list[str]:
    """Take an option and its value out of a command line."""
    kept, skip = [], False
    for word in words:
        if not skip and word != option and not word.startswith(f"{option}="):
            kept.append(word)
        skip = word == option and not skip
    return kept


def main(ends_file: Path, words: list[str]) -> int:
    """Run `accelerate launch` with these words; return 0 if every rank ended well."""
    die_with_parent()
    from accelerate.commands.launch import launch_command, launch_command_parser
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    logging.disable(logging.CRITICAL)  # it tells of every signal and every rank; the supervisor says the same in a line
    try:
        launch_command(launch_command_parser().parse_args(words))
    except ChildFailedError as error:
        failures = sorted(error.failures.items(), key=lambda item: item[1].timestamp)
        ends_file.write_text(json.dumps({rank: failure.exitcode for rank, failure in failures}), "utf-8")
        return 1
    except (KeyboardInterrupt, SignalException):
        return 1  # the supervisor sent the signal, and knows
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
