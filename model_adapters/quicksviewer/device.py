"""Devices by name, the layout of a model over several, and full precision where half would change results."""

import os
from contextlib import AbstractContextManager, nullcontext

import torch

from qsv_eval.model_adapters.errors import SetupError

__all__ = ["full_precision", "resolve_device", "split_map"]


def resolve_device(device: str | torch.device | None) -> torch.device:
    """Return the device: None and a kind without a number mean this process's share of the accelerators.

    Raises:
        SetupError: there is no such device.
    """
    try:
        asked = torch.device(device) if device is not None else None
    except RuntimeError as error:
        raise SetupError(f"device {device!r} is unknown: use cpu, cuda, cuda:1 …") from error
    accelerator, count = _accelerators()
    if asked is None:
        asked = accelerator or torch.device("cpu")
    if asked.type == "cpu":
        return asked
    if accelerator is None or asked.type != accelerator.type or (asked.index or 0) >= count:
        raise SetupError(f"device {device!r} is not here: this machine has {count} accelerators; use another or cpu")
    number = int(os.environ.get("LOCAL_RANK", 0)) % count if asked.index is None else asked.index
    return torch.device(asked.type, number)


def _accelerators() -> tuple[torch.device | None, int]:
    """Return the kind of this machine's accelerators and how many there are."""
    if not torch.accelerator.is_available():
        return None, 0
    return torch.accelerator.current_accelerator(), torch.accelerator.device_count()


def split_map(devices: int) -> dict[str, str]:
    """Return the device map that puts the vision side on one accelerator and the language model on another.

    Args:
        devices: accelerators of each process; process k of a machine has those from k · devices on.

    Raises:
        SetupError: this machine has too few.
    """
    first = int(os.environ.get("LOCAL_RANK", 0)) * devices
    accelerator, count = _accelerators()
    if accelerator is None or first + devices > count:
        raise SetupError(
            f"gpus_per_process {devices}: process {os.environ.get('LOCAL_RANK', 0)} needs accelerators {first} to "
            f"{first + devices - 1}, and this machine has {count}; start fewer processes"
        )
    vision, language = f"{accelerator.type}:{first}", f"{accelerator.type}:{first + devices - 1}"
    return {"model.perception": vision, "model.language_model": language, "lm_head": language}


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Switch autocast off, where the device has it: what is float32 inside stays float32."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()
