"""The model, its frames, and the adapter that lets lmms-eval evaluate it. Light to import."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lmms_eval.models.registry_v2 import ModelManifest

__all__ = ["manifests"]


def manifests() -> "ModelManifest":
    """Register the model `quicksviewer` with lmms-eval (entry point group `lmms_eval.models`).

    lmms-eval calls this during its own import, and an error here would disable the plugins of all packages, so only
    its registry is imported.
    """
    from lmms_eval.models.registry_v2 import ModelManifest

    adapter = "qsv_eval.model_adapters.lmms"
    return ModelManifest(
        model_id="quicksviewer",
        simple_class_path=f"{adapter}.QuicksviewerSimple",
        chat_class_path=f"{adapter}.QuicksviewerChat",
    )
