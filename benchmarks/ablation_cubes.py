"""Accuracy of learned cubes against cubes of equal length, trained from one shared starting model.

    python benchmarks/ablation_cubes.py --output RUNS [--shared 300] [--steps 120] [--seeds 0 1 2] [--clips 150]

The shared model is quicksviewer-tiny, trained further on randomly cut clips with its gate unchanged. Each run is stage
3 with one kind of cubes; with the same seed, both kinds see the same clips in the same order. Differences are paired
by question and clustered by clip of the split `val`. The last table is a control: differences between seeds of equal
cubes, without and with planted points. Finished runs and trials are kept; `--tables` prints the tables of RUNS/trials.
On two cores, run `--rules learned` and `--rules equal` at the same time, each with OMP_NUM_THREADS=1.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path

import numpy as np
import torch
from accelerate import PartialState
from filelock import FileLock
from tqdm import tqdm

from qsv_eval.demo import CHECKPOINT
from qsv_eval.leaderboard.stats import Difference, paired_difference
from qsv_eval.model_adapters.engine.distributed import join
from qsv_eval.model_adapters.files import atomic_write
from qsv_eval.model_adapters.quicksviewer import load_pretrained
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.tiny.curriculum import TinyBudget, draw_data, tiny, tiny_stages
from qsv_eval.tiny.evaluate import Trial, TrialAnswer, evaluate_clips
from qsv_eval.tiny.initial_model import save, with_gate
from qsv_eval.training.recipe import Noise, Start
from qsv_eval.training.run import train

RULES = ("learned", "equal")
TRUE_OR_EQUAL = {"learned": "difference", "equal": "equal"}
"""Cube rule for the trials of the shared model; `difference` finds every true cut of the generated clips."""
[STAGE] = (stage for stage in tiny_stages(TinyBudget()) if stage.name == "stage3")


def shared(folder: Path, steps: int) -> Path:
    """Train quicksviewer-tiny on randomly cut clips, and return a checkpoint with its original gate."""
    state = PartialState(cpu=True)
    with state.main_process_first():
        mixture = draw_data(folder / "data", STAGE, TinyBudget())
        blank = _with_blank_gate(folder / "blank")
    recipe = tiny("shared", replace(STAGE.rates, cubing=None), steps, STAGE.tokens, mixture)
    # With a blank gate, the noise alone decides where cubes begin.
    recipe = replace(recipe, start=Start(str(blank)), noise=Noise(start=1.0, end=1.0))
    final = train(recipe, folder / "shared-training", cpu=True)
    with state.main_process_first():
        return with_gate(final, CHECKPOINT, folder / "shared")


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other jobs; the processes of one job share the lock."""
    folder.mkdir(parents=True, exist_ok=True)
    state, lock = PartialState(cpu=True), FileLock(folder / ".lock")
    if state.is_main_process:
        lock.acquire()
    state.wait_for_everyone()
    try:
        yield
        state.wait_for_everyone()
    finally:
        lock.release()


def _with_blank_gate(folder: Path) -> Path:
    if folder.is_dir():
        return folder
    model, processor = load_checkpoint(CHECKPOINT, dtype="float32")
    for parameter in model.model.perception.gate.logits.parameters():
        torch.nn.init.zeros_(parameter)
    return save(model, processor, folder)


def run(start: Path, folder: Path, rule: str, seed: int, steps: int) -> Path:
    """Train with a cube rule, and return the final checkpoint."""
    recipe = tiny(f"{rule}-{seed}", STAGE.rates, steps, STAGE.tokens, draw_data(folder / "data", STAGE, TinyBudget()))
    recipe = replace(recipe, start=Start(str(start)), batching=replace(recipe.batching, seed=seed))
    recipe = replace(recipe, noise=Noise(start=0.01, end=0.01), model={"cubing": rule})
    return train(recipe, folder / recipe.name, cpu=True)


def trial(checkpoint: Path, rule: str, clips: int, path: Path) -> None:
    """Evaluate a checkpoint on clips with a cube rule, and write the result to a file unless it is there."""
    if not path.is_file() or len({answer.clip for answer in read_trial(path).answers}) != clips:
        model = load_pretrained(checkpoint, device="cpu")
        model.model.config.cubing = rule
        result = evaluate_clips(model, clips, progress=lambda indices: tqdm(indices, desc=path.stem))
        with atomic_write(path) as draft:
            draft.write_text(json.dumps(result._asdict()))


def read_trial(path: Path) -> Trial:
    """Read the result of a trial."""
    content = json.loads(path.read_text())
    return Trial([TrialAnswer(*answer) for answer in content["answers"]], content["true_cuts"], content["found_cuts"])


def difference(pairs: Sequence[tuple[Trial, Trial]]) -> Difference:
    """Return the paired difference of learned and equal cubes, over several seeds."""
    first = [answer.right for learned, _ in pairs for answer in learned.answers]
    second = [answer.right for _, equal in pairs for answer in equal.answers]
    return paired_difference(first, second, [answer.clip for learned, _ in pairs for answer in learned.answers])


def planted(trials: Sequence[Trial], points: float, draws: int = 40) -> str:
    """Return how often a difference is significant between two seeds, one with randomly corrected answers."""
    rng = np.random.default_rng(0)
    significant = list[bool]()
    for first, second in permutations(trials, 2):
        plain = np.array([answer.right for answer in first.answers], float)
        for _ in range(draws if points else 1):
            better = plain.copy()
            better[rng.choice(np.flatnonzero(plain == 0), round(points * len(plain)), replace=False)] = 1
            other = [float(answer.right) for answer in second.answers]
            clips = [answer.clip for answer in second.answers]
            significant.append(paired_difference(better.tolist(), other, clips, resamples=2_000).p < 0.05)
    return f"{sum(significant)} of {len(significant)}"


def accuracy(answers: Sequence[TrialAnswer], *, brief: bool = False) -> str:
    """Return the percentage of right answers, of all questions or of those on brief scenes."""
    right = [answer.right for answer in answers if answer.brief or not brief]
    return f"{100 * sum(right) / len(right):.1f}"


def row(name: str, pairs: Sequence[tuple[Trial, Trial]]) -> str:
    """Return a line of the table of differences."""
    learned, equal = ([answer for pair in pairs for answer in pair[side].answers] for side in (0, 1))
    gap = difference(pairs)
    interval = f"{100 * gap.mean:+.1f} ({100 * gap.low:+.1f} to {100 * gap.high:+.1f})"
    brief = f"{accuracy(learned, brief=True)} / {accuracy(equal, brief=True)}"
    return (
        f"| {name} | {accuracy(learned)} | {accuracy(equal)} | {interval} | {gap.p:.3f} | {brief} | {gap.questions} |"
    )


def report(trials: Path) -> str:
    """Return the tables of all seeds with trials of both kinds of cubes."""
    done = [{int(path.stem.split("-")[1]) for path in trials.glob(f"{rule}-*-as-equal.json")} for rule in RULES]
    seeds = sorted(set.intersection(*done))
    if not seeds:
        return f"{trials}: no seed has trials of both kinds of cubes; run the benchmark without --tables\n"
    pairs, recalls = list[tuple[Trial, Trial]](), list[str]()
    for seed in seeds:
        learned, equal = (read_trial(trials / f"{rule}-{seed}-as-{rule}.json") for rule in RULES)
        swapped = read_trial(trials / f"learned-{seed}-as-equal.json")
        pairs.append((learned, equal))
        recall = " | ".join(f"{100 * learned.metrics()[f'{rule}_cut_recall']:.1f}" for rule in RULES)
        recalls.append(f"| {seed} | {recall} | {accuracy(swapped.answers)} |")
    beginning = [accuracy(read_trial(trials / f"shared-as-{TRUE_OR_EQUAL[rule]}.json").answers) for rule in RULES]
    lines = [
        "| the beginning, cut at true cuts | equally |",
        "|---|---|",
        f"| {' | '.join(beginning)} |",
        "",
        "| seed | learned | equal | difference (95 %) | p | on brief scenes | n |",
        "|---|---|---|---|---|---|---|",
        *(row(str(seed), [pair]) for seed, pair in zip(seeds, pairs, strict=True)),
        row("all", pairs),
        "",
        "| seed | true cuts found by learned cubes | by equal ones | learned, tested as equal |",
        "|---|---|---|---|",
        *recalls,
    ]
    runs = [equal for _, equal in pairs]
    if len(runs) > 1:
        lines += ["", "| planted between seeds of equal cubes | found at p < 0.05 |", "|---|---|"]
        lines += [f"| {points} points | {planted(runs, points / 100)} |" for points in (0, 2, 4, 8)]
    return "\n".join([*lines, ""])


def main() -> None:
    """Run missing trainings and trials, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder of runs and trials")
    parser.add_argument("--shared", type=int, default=300, help="training steps of the shared model (default: 300)")
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2], help="seeds of the data (default: 0 1 2)")
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES), help="kinds of cubes (default: both)")
    parser.add_argument("--steps", type=int, default=120, help="training steps of each run (default: 120)")
    parser.add_argument("--clips", type=int, default=150, help="clips of each trial (default: 150)")
    parser.add_argument("--tables", action="store_true", help="only print the tables of finished trials")
    options = parser.parse_args()
    trials = options.output / "trials"
    if not options.tables:
        join(on_cpu=True)
        with locked(options.output):
            start = shared(options.output, options.shared)
        for seed, rule in product(options.seeds, options.rules):
            trial(start, TRUE_OR_EQUAL[rule], options.clips, trials / f"shared-as-{TRUE_OR_EQUAL[rule]}.json")
            final = run(start, options.output, rule, seed, options.steps)
            for tested in dict.fromkeys((rule, "equal")):
                trial(final, tested, options.clips, trials / f"{rule}-{seed}-as-{tested}.json")
    print(report(trials), end="")


if __name__ == "__main__":
    main()
