"""The benchmarks as lmms-eval task files, YAML only: what they do is in `qsv_eval.scoring`, named in full.

`qsv-eval run` puts this folder on lmms-eval's path; with lmms-eval alone, pass it as `--include_path`. A file without
the suffix `.yaml` is no task of its own but a part that the tasks beside it include.
"""

from pathlib import Path
from typing import Final

__all__ = ["FOLDER"]

FOLDER: Final = Path(__file__).parent
"""What to pass to lmms-eval as the include path."""
