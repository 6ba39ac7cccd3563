"""How a model meets the harness: the model itself, its frames, and the `lmms` adapter. Light to import."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

__all__ = ["manifests"]


def manifests() -> "ModelManifest":
    """Tell lmms-eval about the model `quicksviewer` (entry point group `lmms_eval.models`).

    lmms-eval calls this while it is being imported itself, and an error here would switch off every plugin of every
    package; so only its registry is imported.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    adapter = "qsv_eval.model_adapters.lmms"
    return ModelManifest(
        model_id="quicksviewer",
        simple_class_path=f"{adapter}.QuicksviewerSimple",
        chat_class_path=f"{adapter}.QuicksviewerChat",
    )
