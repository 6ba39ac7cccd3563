"""Metrics files of a run: `metrics.jsonl` at every log step, `metrics.csv` and `loss.png` at every checkpoint."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

__all__ = ["MetricsFiles", "draw_losses"]


class MetricsFiles(TrainerCallback):
    """Trainer callback that writes the metrics files on process 0; resuming removes lines of repeated steps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def on_train_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start `metrics.jsonl` with the log history of the checkpoint."""
        if state.is_world_process_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            lines = [json.dumps(entry) + "\n" for entry in state.log_history]
            (self.folder / "metrics.jsonl").write_text("".join(lines))

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Append a line to `metrics.jsonl`."""
        if state.is_world_process_zero and state.log_history:
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(state.log_history[-1]) + "\n")

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Write `metrics.csv` and `loss.png`."""
        if state.is_world_process_zero and state.log_history:
            table = pd.DataFrame(state.log_history)
            table.to_csv(self.folder / "metrics.csv", index=False)
            draw_losses(table, self.folder / "loss.png")

    on_train_end = on_save


def draw_losses(table: pd.DataFrame, path: Path) -> None:
    """Draw the loss and the evaluation accuracies over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    if "loss" in table:  # a run may end before its first log step
        losses = table.dropna(subset=["loss"])
        axes.plot(losses["step"], losses["loss"], color="tab:blue", alpha=0.3, linewidth=0.8)
        smooth = losses["loss"].ewm(span=max(len(losses) // 40, 2)).mean()
        axes.plot(losses["step"], smooth, color="tab:blue", label="loss")
        axes.legend(loc="upper center")
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    evaluations = [name for name in table if name.startswith("eval_") and name.endswith("accuracy")]
    if evaluations:
        right_axes = axes.twinx()
        right_axes.set_ylim(0, 1)
        for i, name in enumerate(evaluations):
            points = table.dropna(subset=[name])
            right_axes.plot(points["step"], points[name], "o-", color=f"C{i + 1}", label=name.removeprefix("eval_"))
        right_axes.legend(loc="upper right")
    figure.savefig(path, dpi=120)
