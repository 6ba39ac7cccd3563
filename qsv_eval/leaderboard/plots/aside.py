"""Plots drawn by another process while this one does something else: many of them take as long as all the rest."""

import multiprocessing
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pandas as pd

from qsv_eval.leaderboard.plots.draw import Plot, write_plots
from qsv_eval.leaderboard.plots.points import Point
from qsv_eval.model_adapters.errors import SetupError

__all__ = ["FEWEST", "drawing"]

FEWEST: Final = 500
"""Scores for which another process pays: it takes about two seconds to start."""


@contextmanager
def drawing(
    points: Mapping[str, Sequence[Point]], scores: pd.DataFrame, folder: Path
) -> Iterator[Callable[[], list[Plot]]]:
    """Draw as `write_plots` does, meanwhile; what is provided waits for the plots.

    A script that calls this needs the `if __name__ == "__main__"` of all programs that start processes.
    """
    if len(scores) < FEWEST:
        yield lambda: write_plots(points, scores, folder)
        return
    # A fork would copy the locks of threads that are running, such as those of numpy.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        drawn = pool.submit(write_plots, points, scores, folder)
        try:
            yield drawn.result
        except BrokenProcessPool as error:
            raise SetupError(
                f"{folder}: the process that draws was ended from outside ({error}); is there too little memory? "
                "Name fewer folders, or --no-plots"
            ) from error
