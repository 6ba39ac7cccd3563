"""What is wrong with a recipe whatever model and data it names: told before either is read."""

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.training.optimiser import check_muon
from qsv_eval.training.recipe import Recipe

__all__ = ["check_options", "check_processes"]


def check_options(recipe: Recipe) -> None:
    """Refuse options that do not go together.

    Raises:
        SetupError: they do not, or this torch is too old for one.
    """
    if recipe.optimiser.kind == "muon":
        check_muon()
    if not recipe.sharded:
        return
    if recipe.rates.new_tokens is not None and recipe.rates.language_model is None:
        raise SetupError("sharded: an embedding of which only rows learn cannot be; set rates.language_model as well")
    if recipe.evaluate_every is not None:
        raise SetupError("sharded: no process has the whole model to try out; leave evaluate_every out")
    if recipe.optimiser.kind == "muon":
        raise SetupError("sharded: Muon needs whole matrices; use optimiser.kind=adamw")


def check_processes(recipe: Recipe, processes: int) -> None:
    """Refuse a number of processes that the recipe cannot be done by.

    Raises:
        SetupError: they cannot share its steps, or it needs several.
    """
    if recipe.batching.micro_batches % processes:
        raise SetupError(
            f"batching.micro_batches {recipe.batching.micro_batches} cannot be shared by {processes} processes evenly; "
            "give a multiple of them"
        )
    if recipe.sharded and processes == 1:
        raise SetupError("sharded: there is one process, so nothing to spread over; start several, or leave it out")
