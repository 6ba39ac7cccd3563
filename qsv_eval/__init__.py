"""Evaluate, ablate, train and serve the Quicksviewer video LMM with lmms-eval.

The packages `tasks`, `model_adapters`, `training` and `results` stand beside this folder in the repository and are
imported as `qsv_eval.tasks` and so on. Importing `qsv_eval` loads neither torch nor transformers.
"""

from pathlib import Path

__version__ = "0.1.0"

# In a checkout (not in a wheel) the sibling folders are found through the repository root, also with no installation.
_root = Path(__file__).resolve().parent.parent
if (_root / "pyproject.toml").is_file() and (_root / "model_adapters").is_dir():
    __path__.append(str(_root))
