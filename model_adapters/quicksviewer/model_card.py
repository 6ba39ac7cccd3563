"""The model card (README.md) that goes with a saved checkpoint and says how to load it."""

import os
from pathlib import Path
from typing import Any

from huggingface_hub import ModelCard, ModelCardData, file_exists

__all__ = ["SavesModelCard", "model_card"]

_TAGS = ["quicksviewer", "qsv-eval"]
_TEMPLATE = Path(__file__).with_name("model_card.md.jinja")


def model_card(model: Any) -> ModelCard:
    """Return the card of a Quicksviewer model; it names no path and no licence."""
    data = ModelCardData(library_name="transformers", pipeline_tag="video-text-to-text", tags=[*_TAGS])
    generates = bool(model.can_generate())
    return ModelCard.from_template(
        data,
        template_path=str(_TEMPLATE),
        config=model.config,
        parameters=model.num_parameters(),
        dtype=str(model.dtype).removeprefix("torch."),
        adapter=bool(getattr(model, "_hf_peft_config_loaded", False)),
        generates=generates,
        auto_class="AutoModelForImageTextToText" if generates else "AutoModel",
    )


class SavesModelCard:
    """Mixin for `PreTrainedModel`: checkpoints are saved and uploaded with a README.md, unless there is one."""

    _card = ""

    def save_pretrained(
        self, save_directory: str | os.PathLike[str], is_main_process: bool = True, *args: Any, **kwargs: Any
    ) -> Any:
        """Save the model as transformers does, with a README.md if there is none."""
        path = Path(save_directory, "README.md")
        written = path.is_file()
        self._card = path.read_text("utf-8") if written else str(model_card(self))
        result = super().save_pretrained(save_directory, is_main_process, *args, **kwargs)  # type: ignore[misc]
        if is_main_process and Path(save_directory).is_dir() and (written or not path.is_file()):
            path.write_text(self._card, "utf-8")
        return result

    def _upload_modified_files(
        self, working_dir: str | os.PathLike[str], repo_id: str, *args: Any, **kwargs: Any
    ) -> Any:
        # transformers has just put a card there: that of the repository if it has one, else one that says nothing.
        if not file_exists(repo_id, "README.md", token=kwargs.get("token")):
            Path(working_dir, "README.md").write_text(self._card, "utf-8")
        return super()._upload_modified_files(working_dir, repo_id, *args, **kwargs)  # type: ignore[misc]
