"""What a run leaves to look at: `metrics.jsonl` as it goes, `metrics.csv` and `loss.png` at every checkpoint."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["MetricsFiles", "draw_losses"]


class MetricsFiles(TrainerCallback):
    """Writes them, from process 0. After resuming, lines of steps that are done again are gone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Begin the file anew with what the checkpoint remembers."""
        if state.is_world_process_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(entry) + "\n" for entry in state.log_history]
            (self.folder / "metrics.jsonl").write_text("".join(lines))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Append a line."""
        if state.is_world_process_zero and state.log_history:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write table and picture."""
        if state.is_world_process_zero:
            _write(self.folder, state.log_history)

    on_train_end = on_save


def _write(folder: Path, history: list[dict[str, Any]]) -> None:
    if not history:
        return
    table = pd.DataFrame(history)
    table.to_csv(folder / "metrics.csv", index=False)
    draw_losses(table, folder / "loss.png")


def draw_losses(table: pd.DataFrame, path: Path) -> None:
    """Draw the loss over the steps, and evaluations beside it."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    if "loss" in table:  # a run may end before its first line
        losses = table.dropna(subset=["loss"])
        axes.plot(losses["step"], losses["loss"], color="tab:blue", alpha=0.3, linewidth=0.8)
        smooth = losses["loss"].ewm(span=max(len(losses) // 40, 2)).mean()
        axes.plot(losses["step"], smooth, color="tab:blue", label="loss")
        axes.legend(loc="upper center")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    evaluations = [name for name in table if name.startswith("eval_") and name.endswith("accuracy")]
    if evaluations:
        other = axes.twinx()
        other.set_ylim(0, 1)
        for number, name in enumerate(evaluations):
            points = table.dropna(subset=[name])
            other.plot(points["step"], points[name], "o-", color=f"C{number + 1}", label=name.removeprefix("eval_"))
        other.legend(loc="upper right")
    figure.savefig(path, dpi=120)
