"""accelerate's launcher, in a process that writes down how the ranks ended instead of printing a wall of text.

    python -m qsv_eval.launching.elastic ENDS.json --multi_gpu --num_processes 2 … -m qsv_eval.cli run …

Only `launch` calls this. The file says the exit code of each rank that failed, negative for a signal, the first first.
"""

import json
import logging
import sys
from pathlib import Path

from qsv_eval.launching.ranknotes import die_with_parent

__all__ = ["main"]


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
