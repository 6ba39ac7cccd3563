"""What are learned cubes worth? Learned against equally long ones, from one shared beginning.

    python benchmarks/ablation_cubes.py --output RUNS [--shared 300] [--steps 120] [--seeds 0 1 2] [--clips 150]

All runs start from one model: quicksviewer-tiny, which then learned clips for so many steps cut at random, into as many
cubes as ever, so that it is used to neither kind; the first table says what it answers with cubes that are equally long
and with such as begin at the true cuts. Its gate is the one it had. Each run is so many steps of stage 3. Each seed
orders the samples; with it the two kinds of cubes see the same clips in the same order. Questions are on clips of the
split `val`, paired over the two and clustered by clip. What is done is not done again; the tables are printed as
Markdown. The last shows what the procedure finds where it is known what is there: two runs of equal cubes that differ
by their seeds alone, and points planted in one.

On two cores, `--rules learned` and `--rules equal` beside each other, each with OMP_NUM_THREADS=1, take less time than
one after the other; whichever comes first makes the beginning, and the other waits for it. What came of the trials is
in RUNS/trials, and all that the tables are made of: `--tables` prints them again.
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
"""How the shared beginning is cut for its trials; of clips drawn here, plain differences find every true cut."""
[LEG] = (leg for leg in tiny_stages(TinyBudget()) if leg.name == "stage3")


def shared(folder: Path, steps: int) -> Path:
    """Train quicksviewer-tiny on clips cut at random, and return a checkpoint with its own gate again."""
    state = PartialState(cpu=True)
    with state.main_process_first():
        mixture = draw_data(folder / "data", LEG, TinyBudget())
        blank = _with_blank_gate(folder / "blank")
    recipe = tiny("shared", replace(LEG.rates, cubing=None), steps, LEG.tokens, mixture)
    # Where the gate says nothing, its noise alone says where cubes begin.
    recipe = replace(recipe, start=Start(str(blank)), noise=Noise(start=1.0, end=1.0))
    final = train(recipe, folder / "shared-training", cpu=True)
    with state.main_process_first():
        return with_gate(final, CHECKPOINT, folder / "shared")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Keep other jobs out of a folder meanwhile; of several processes of one job the first does it for all."""
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
    """Train with cubes cut by a rule; return the last checkpoint."""
    recipe = tiny(f"{rule}-{seed}", LEG.rates, steps, LEG.tokens, draw_data(folder / "data", LEG, TinyBudget()))
    recipe = replace(recipe, start=Start(str(start)), batching=replace(recipe.batching, seed=seed))
    recipe = replace(recipe, noise=Noise(start=0.01, end=0.01), model={"cubing": rule})
    return train(recipe, folder / recipe.name, cpu=True)


def trial(final: Path, tested: str, clips: int, kept: Path) -> None:
    """Ask about clips, cut by a rule that need not be the one of training, and keep what came of it in a file."""
    if not kept.is_file() or len({one.clip for one in read_trial(kept).answers}) != clips:
        model = load_pretrained(final, device="cpu")
        model.model.config.cubing = tested
        done = evaluate_clips(model, clips, progress=lambda indices: tqdm(indices, desc=kept.stem))
        with atomic_write(kept) as draft:
            draft.write_text(json.dumps(done._asdict()))


def read_trial(kept: Path) -> Trial:
    """Return what came of a trial."""
    content = json.loads(kept.read_text())
    return Trial([TrialAnswer(*one) for one in content["answers"]], content["true_cuts"], content["found_cuts"])


def difference(pairs: Sequence[tuple[Trial, Trial]]) -> Difference:
    """Compare learned cubes with equal ones over some seeds, on the same questions."""
    first = [one.right for learned, _ in pairs for one in learned.answers]
    second = [one.right for _, equal in pairs for one in equal.answers]
    return paired_difference(first, second, [one.clip for learned, _ in pairs for one in learned.answers])


def planted(trials: Sequence[Trial], points: float, draws: int = 40) -> str:
    """Return how often a difference is found between two runs that differ by their seeds and by what is planted.

    Wrong answers of one, drawn at random, are made right. Every run is compared with every other.
    """
    rng = np.random.default_rng(0)
    found = list[bool]()
    for one, other in permutations(trials, 2):
        plain = np.array([answer.right for answer in one.answers], float)
        for _ in range(draws if points else 1):
            better = plain.copy()
            better[rng.choice(np.flatnonzero(plain == 0), round(points * len(plain)), replace=False)] = 1
            against = [float(answer.right) for answer in other.answers]
            clips = [answer.clip for answer in other.answers]
            found.append(paired_difference(better.tolist(), against, clips, resamples=2_000).p < 0.05)
    return f"{sum(found)} of {len(found)}"


def share(answers: Sequence[TrialAnswer], *, brief: bool = False) -> str:
    """Return the percentage of right answers, of all or of those on brief scenes."""
    of = [one.right for one in answers if one.brief or not brief]
    return f"{100 * sum(of) / len(of):.1f}"


def row(name: str, pairs: Sequence[tuple[Trial, Trial]]) -> str:
    """Return a line of the table."""
    learned, equal = ([one for pair in pairs for one in pair[side].answers] for side in (0, 1))
    found = difference(pairs)
    gap = f"{100 * found.mean:+.1f} ({100 * found.low:+.1f} to {100 * found.high:+.1f})"
    brief = f"{share(learned, brief=True)} / {share(equal, brief=True)}"
    return f"| {name} | {share(learned)} | {share(equal)} | {gap} | {found.p:.3f} | {brief} | {found.questions} |"


def report(trials: Path) -> str:
    """Return the tables of all seeds that were tried out with both kinds of cubes."""
    done = [{int(path.stem.split("-")[1]) for path in trials.glob(f"{rule}-*-as-equal.json")} for rule in RULES]
    seeds = sorted(set.intersection(*done))
    if not seeds:
        return "no seed is done with both kinds of cubes yet\n"
    pairs, recalls = list[tuple[Trial, Trial]](), list[str]()
    for seed in seeds:
        learned, equal = (read_trial(trials / f"{rule}-{seed}-as-{rule}.json") for rule in RULES)
        swapped = read_trial(trials / f"learned-{seed}-as-equal.json")
        pairs.append((learned, equal))
        found = " | ".join(f"{100 * learned.metrics()[f'{rule}_cut_recall']:.1f}" for rule in RULES)
        recalls.append(f"| {seed} | {found} | {share(swapped.answers)} |")
    beginning = [share(read_trial(trials / f"shared-as-{TRUE_OR_EQUAL[rule]}.json").answers) for rule in RULES]
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
    """Run what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--shared", type=int, default=300)
    parser.add_argument("--seeds", type=int, nargs="*", default=[0, 1, 2])
    parser.add_argument("--rules", nargs="+", choices=RULES, default=list(RULES))
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--clips", type=int, default=150)
    parser.add_argument("--tables", action="store_true")
    chosen = parser.parse_args()
    trials = chosen.output / "trials"
    if not chosen.tables:
        join(on_cpu=True)
        with alone(chosen.output):
            start = shared(chosen.output, chosen.shared)
        for seed, rule in product(chosen.seeds, chosen.rules):
            trial(start, TRUE_OR_EQUAL[rule], chosen.clips, trials / f"shared-as-{TRUE_OR_EQUAL[rule]}.json")
            final = run(start, chosen.output, rule, seed, chosen.steps)
            for tested in dict.fromkeys((rule, "equal")):
                trial(final, tested, chosen.clips, trials / f"{rule}-{seed}-as-{tested}.json")
    print(report(trials), end="")


if __name__ == "__main__":
    main()
