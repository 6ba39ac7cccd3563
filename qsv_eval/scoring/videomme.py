"""Video-MME without subtitles: 900 videos from 11 seconds to an hour, three questions on each.

`qsv_videomme` asks in the benchmark's official wording, to be compared with other models; `qsv_videomme_reference` asks
exactly as the reference does, to be compared with its published numbers. Annotations and videos are looked for in the
official layout under `$QSV_DATA/videomme`, then where lmms-eval's own `videomme` and the hub put them.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from qsv_eval.model_adapters.errors import SetupError
from qsv_eval.scoring.choice import ChoiceTask
from qsv_eval.scoring.sources import as_table, data_root, find_video, hf_home, read_parquet

if TYPE_CHECKING:
    from datasets import Dataset

__all__ = [
    "doc_to_messages",
    "doc_to_text",
    "doc_to_visual",
    "process_results",
    "reference_doc_to_messages",
    "reference_doc_to_text",
    "reference_process_results",
    "reference_summarise",
    "summarise",
    "table",
    "video_path",
]

_GROUP_FIELDS: Final = ("duration", "domain", "sub_category", "task_type")
_COLUMNS: Final = ("question_id", "videoID", *_GROUP_FIELDS, "question", "options", "answer")

_HUB_FILE: Final = "videomme/test-00000-of-00001.parquet"
_HUB_REPOS: Final = ("lmms-lab/Video-MME", "lmms-eval/Video-MME")
"""The benchmark's own repository, and the mirror that lmms-eval 0.7.3 downloads."""


def table(_: "Dataset") -> "Dataset":
    """Return the questions. lmms-eval passes the placeholder that the task file opens."""
    return as_table(_rows)


def video_path(doc: Mapping[str, Any]) -> str:
    """Return where a question's video is, or should be."""
    return str(find_video(_video_folders(), doc["videoID"]))


def _official_prompt(doc: Mapping[str, Any]) -> str:
    return "\n".join(
        [
            "Select the best answer to the following multiple-choice question based on the video. "
            "Respond with only the letter (A, B, C, or D) of the correct option.",
            doc["question"],
            *doc["options"],
            "The best answer is:",
        ]
    )


def _reference_prompt(doc: Mapping[str, Any]) -> str:
    # Byte for byte, with no space after the first full stop (spec/benchmarks.md section 2.2).
    return "\n".join(
        [
            "Carefully read the following question and select the letter corresponding to the correct answer."
            "Highlight the applicable choices without giving explanations.",
            doc["question"],
            "Options:",
            *doc["options"],
        ]
    )


def _rows() -> list[dict[str, Any]]:
    rows = read_parquet(_annotations(), _COLUMNS)
    folders = _video_folders()
    if not any(folder.is_dir() for folder in folders):
        looked_in = " or ".join(map(str, folders))
        raise SetupError(
            f"videomme: no videos: there is no folder {looked_in}. Unpack the benchmark's data/*.mp4 there."
        )
    return rows


def _annotations() -> list[Path]:
    root = data_root()
    if root and (files := sorted((root / "videomme" / "videomme").glob("*.parquet"))):
        return files
    return [_from_hub(root)]


def _from_hub(root: Path | None) -> Path:
    from huggingface_hub import hf_hub_download, try_to_load_from_cache

    for repo in _HUB_REPOS:
        cached = try_to_load_from_cache(repo, _HUB_FILE, repo_type="dataset")
        if isinstance(cached, str):
            return Path(cached)
    try:
        return Path(hf_hub_download(_HUB_REPOS[0], _HUB_FILE, repo_type="dataset"))
    except OSError as error:  # every failure of the hub is one, its HTTP errors and the offline mode included
        here = f"QSV_DATA={root} has no videomme/videomme/*.parquet" if root else "QSV_DATA is not set"
        raise SetupError(
            f"videomme: no annotations: {here}, and {_HUB_REPOS[0]} could not be had from the hub "
            f"({type(error).__name__}). Set QSV_DATA to a folder with videomme/videomme/*.parquet and "
            "videomme/data/*.mp4, or download them with a network first."
        ) from error


def _video_folders() -> list[Path]:
    root = data_root()
    return [base / "videomme" / "data" for base in ([root] if root else []) + [hf_home()]]


_STANDARD: Final = ChoiceTask(
    name="qsv_videomme",
    prompt=_official_prompt,
    media=video_path,
    cluster_field="videoID",
    group_fields=_GROUP_FIELDS,
)
_REFERENCE: Final = replace(_STANDARD, name="qsv_videomme_reference", prompt=_reference_prompt)

doc_to_text = _STANDARD.doc_to_text
doc_to_messages = _STANDARD.doc_to_messages
doc_to_visual = _STANDARD.doc_to_visual
process_results = _STANDARD.process_results
summarise = _STANDARD.summarise

reference_doc_to_text = _REFERENCE.doc_to_text
reference_doc_to_messages = _REFERENCE.doc_to_messages
reference_process_results = _REFERENCE.process_results
reference_summarise = _REFERENCE.summarise
