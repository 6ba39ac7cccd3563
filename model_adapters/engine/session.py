"""What this process answers with, for those who report on it."""

from qsv_eval.model_adapters.engine.answer_key import AnswerSettings

__all__ = ["answer_settings", "begin"]

_settings: AnswerSettings | None = None


def begin(settings: AnswerSettings) -> None:
    """Say with what the answers of this process are obtained from now on."""
    global _settings  # one process answers with one model at a time
    _settings = settings


def answer_settings() -> AnswerSettings | None:
    """Return the settings, or None where no Quicksviewer is answering: another model, or a second scoring."""
    return _settings
