"""Forecast of a sweep's cost from video headers and checkpoint configurations; no weights are loaded.

It uses the engine's own scheduler, so frames and replies that variants share are counted once. Seconds are those of a
nominal machine: rely only on their proportions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cost_model import UnitCosts, describe_bytes, frame_indices
from qsv_eval.model_adapters.engine.engine import planned_request
from qsv_eval.model_adapters.engine.probe_files import FileProbe, probe_files
from qsv_eval.model_adapters.engine.readahead import default_readers
from qsv_eval.model_adapters.engine.request import (
    GenerationSettings,
    Request,
    messages_from_lmms,
    rule_from_lmms,
    without_images,
)
from qsv_eval.model_adapters.engine.scheduler import PlannedRequest, WorkItem, make_work_items, visual_input_of
from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.model_adapters.frames import ClipRequest, FrameRule
from qsv_eval.model_adapters.model_args import ModelArgs
from qsv_eval.model_adapters.quicksviewer.checkpoint import read_config
from qsv_eval.sweep.grid import Grid
from qsv_eval.sweep.run_sweep import models
from qsv_eval.task_names import members, refuse_unknown, select, task_manager
from qsv_eval.tasks import task_files
from qsv_eval.tasks.dataset import SETUP_ERROR, task_table
from qsv_eval.tasks.lmms_hooks import doc_to_messages
from qsv_eval.tasks.variants import Variant, single_task

__all__ = ["CellForecast", "SweepForecast", "forecast_sweep", "print_forecast"]


class CellForecast(NamedTuple):
    """One cell, if it were run alone."""

    checkpoint: str
    cell: str
    questions: int
    frames: float
    """Frames of a question's videos, on average."""
    tokens: float
    """Visual tokens and timestamps that a question's prompt holds, on average."""
    seconds: float
    memory: str
    """Memory of the longest video, in words; empty without videos."""


class SweepForecast(NamedTuple):
    """A sweep."""

    cells: list[CellForecast]
    seconds: float
    """Seconds of the whole sweep."""
    unknown: list[str]
    """lmms-eval's own tasks, of which nothing is known before they run."""

    @property
    def dearest(self) -> dict[str, CellForecast]:
        """The cell of each checkpoint that takes longest; together they are the least that a sweep can take."""
        found: dict[str, CellForecast] = {}
        for cell in self.cells:
            found[cell.checkpoint] = max(cell, found.get(cell.checkpoint, cell), key=lambda one: one.seconds)
        return found


def forecast_sweep(grid: Grid, options: Mapping[str, Any], limit: int | None = None) -> SweepForecast:
    """Work out what a sweep would take; see `running.sweep` for the arguments.

    Raises:
        SetupError: a task is unknown, or stands for several.
    """
    selection = select(grid.tasks)
    refuse_unknown(selection)
    names = members(selection.names)
    unknown = [name for name in names if name not in task_files()]
    for name in unknown:
        single_task(name, task_manager())
    asked = {name: _questions(name, limit) for name in names if name in task_files()}
    files = probe_files([one for questions in asked.values() for one in questions], show_progress=True)
    cells, seconds = [], 0.0
    for model in models(grid, options):
        planner = _Planner.of(model, files)
        together: list[PlannedRequest] = []
        for variant in [Variant(name, settings) for name in asked for settings in grid.settings()]:
            mine = planner.asked(variant, asked[variant.task])
            cells.append(planner.cell(model.pretrained, variant.name, mine))
            together += mine
        seconds += sum(unit.cost_s for unit in planner.units(together))
    return SweepForecast(cells, seconds, unknown)


def print_forecast(found: SweepForecast) -> None:
    """Print the cells, and what they cost together."""
    console = Console()
    for checkpoint, dearest in found.dearest.items():
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("cell", overflow="fold")
        for name in ("questions", "frames", "tokens", "time alone"):
            table.add_column(name, justify="right", no_wrap=True)
        for cell in [one for one in found.cells if one.checkpoint == checkpoint]:
            figures = [str(cell.questions), f"{cell.frames:.0f}", f"{cell.tokens:,.0f}", _time(cell.seconds)]
            table.add_row(Text(cell.cell.replace(",", ", ")), *figures)
        console.print(Text(checkpoint, style="bold"), soft_wrap=True)
        console.print(table)
        if dearest.memory:
            console.print(f"The longest video of the largest cell: {dearest.memory}", highlight=False)
    alone = sum(cell.seconds for cell in found.cells)
    if least := sum(cell.seconds for cell in found.dearest.values()):
        console.print(
            f"{len(found.cells)} cells: {_time(found.seconds)} together, {found.seconds / least:.2f} times the "
            f"largest alone; one by one {_time(alone)}. The times are those of a nominal machine.",
            highlight=False,
        )
    for name in found.unknown:
        console.print(f"{name}: lmms-eval's own; what it takes is known when it runs", highlight=False)


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"


def _questions(task: str, limit: int | None) -> list[Request]:
    rows = task_table(task)
    if SETUP_ERROR in rows.column_names:
        raise SetupError(rows[0][SETUP_ERROR])
    return [
        Request(
            *(task, number, "test", 0, row["question_id"]),
            without_images(messages_from_lmms(doc_to_messages(row))),
            *(GenerationSettings(), FrameRule()),
        )
        for number, row in enumerate(rows if limit is None else rows.take(min(limit, len(rows))))
    ]


class _Planner(NamedTuple):
    """Plans with one checkpoint."""

    model: ModelArgs
    costs: UnitCosts
    cube_rule: CubeRule
    files: Mapping[str, FileProbe]
    frames: dict[tuple[str, ClipRequest], tuple[int, ...]]
    """Frame indices that were worked out already; many questions share them."""

    @classmethod
    def of(cls, model: ModelArgs, files: Mapping[str, FileProbe]) -> "_Planner":
        config = read_config(model.pretrained, revision=model.revision, subfolder=model.subfolder)
        on_cpu = model.device == "cpu"
        costs = UnitCosts.of(
            config,
            frame_size=config.vision_config.image_size,
            value_bytes=4 if model.dtype == "float32" else 2,
            **({"flops": 3e10} if on_cpu else {}),
            readers=default_readers() if model.readers is None else model.readers,
        )
        return cls(model, costs, model.cube_rule(config.cube_rule), files, {})

    def asked(self, variant: Variant, questions: Sequence[Request]) -> list[PlannedRequest]:
        """Return a cell's questions as the plan sees them, without those whose files are not there."""
        rule, cube_rule = (
            rule_from_lmms(variant.settings, self.model.rule),
            self.cube_rule.with_overrides(variant.settings),
        )
        there = [one for one in questions if not any(self.files[path].fault for path, _ in one.files)]
        varied = [replace(one, task=variant.name, rule=rule, cube_rule=cube_rule) for one in there]
        keyed = ((f"{variant.task} {one.doc_id}", one) for one in varied)
        return [self._shared(planned_request(key, one, False, self.files, frozenset())) for key, one in keyed]

    def _shared(self, asked: PlannedRequest) -> PlannedRequest:
        """Name a question by what it comes to: of cells with the same frames and cubes, all have one reply."""
        videos = [(media.path or "", request) for media, request in visual_input_of(asked).videos()]
        shown = tuple((path, self._frames(path, request)) for path, request in videos)
        return replace(asked, key=f"{asked.key} {hash((shown, asked.cube_rule))}")

    def _frames(self, path: str, request: ClipRequest) -> tuple[int, ...]:
        if (path, request) not in self.frames:
            facts = self.files[path].video
            self.frames[path, request] = tuple(frame_indices(facts, request)) if facts and facts.fps > 0 else ()
        return self.frames[path, request]

    def units(self, asked: Sequence[PlannedRequest]) -> list[WorkItem]:
        facts = {file.content_id: file.video for file in self.files.values()}
        sizes = {"batch_size": self.model.batch_size, "cache_bytes": self.model.cache_bytes}
        return make_work_items(asked, facts, self.costs, **sizes)

    def cell(self, checkpoint: str, name: str, asked: Sequence[PlannedRequest]) -> CellForecast:
        units = self.units(asked)
        reads = [(read.frames, read.cubes) for unit in units for read in unit.reads]
        each = [(unit.estimate, sum(map(len, unit.pending)), len(unit.visual_inputs)) for unit in units]
        questions = max(len(asked), 1)
        return CellForecast(
            checkpoint,
            name,
            len(asked),
            sum(expected.frames * due for expected, due, _ in each) / questions,
            sum(expected.tokens / sights * due for expected, due, sights in each) / questions,
            sum(unit.cost_s for unit in units),
            describe_bytes(self.costs, *max(reads), self.model.batch_size) if reads else "",
        )
