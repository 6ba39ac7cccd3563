"""Golden outputs: frames, cubes and replies of fixed media by the built-in model, as the code makes them today.

`python tests/helpers/golden.py` writes them anew after `REPLY_VERSION` or `FRAME_VERSION` was raised. It refuses to
where outputs moved and the version did not: recorded answers and stored frames would then be taken for new ones.
"""

import hashlib
import json
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from qsv_eval.demo import CHECKPOINT
from qsv_eval.model_adapters.cubing import CubeRule
from qsv_eval.model_adapters.engine.cache_key import REPLY_VERSION, AnswerSettings
from qsv_eval.model_adapters.engine.engine import Engine, EngineOptions
from qsv_eval.model_adapters.engine.journal import Journal
from qsv_eval.model_adapters.engine.request import GenerationSettings, Request, RequestKind
from qsv_eval.model_adapters.engine.subtitles import SUBTITLES
from qsv_eval.model_adapters.frames import FrameRule, read_video
from qsv_eval.model_adapters.frames.read_job import ReadSettings
from qsv_eval.model_adapters.frames.store import FRAME_VERSION
from qsv_eval.model_adapters.quicksviewer import load_pretrained

__all__ = ["FOLDER", "STORED", "frame_outputs", "libraries", "reply_outputs"]

FOLDER = Path(__file__).parents[1] / "data" / "golden"
STORED = FOLDER / "golden.json"

SCENES, VARIABLE, PICTURE, SUBTITLE_FILE = (
    str(FOLDER / name) for name in ("scenes.mp4", "variable.mkv", "picture.png", "scenes.srt")
)
CHOICES = "Which shape comes first ?\nA. circle\nB. square\nC. triangle\nD. cross\nAnswer:"

READS: dict[str, tuple[str, FrameRule, dict[str, Any]]] = {
    "default": (SCENES, FrameRule(), {}),
    "eight, nested": (SCENES, FrameRule(max_frames=8, name="nested"), {}),
    "segment": (SCENES, FrameRule(fps=2), {"start_s": 3.0, "end_s": 9.5}),
    "fast resize": (SCENES, FrameRule(max_frames=4), {"resize": "fast"}),
    "variable frame rate": (VARIABLE, FrameRule(fps=4), {}),
}

QUESTIONS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "video": ([{"type": "video", "video": SCENES}], {}),
    "video, open answer": ([{"type": "video", "video": SCENES}], {"words": "Which shapes are seen ?"}),
    "few frames": ([{"type": "video", "video": SCENES}], {"rule": FrameRule(max_frames=8, name="nested")}),
    "equal cubes": ([{"type": "video", "video": SCENES}], {"cube_rule": CubeRule(cubing="equal", max_cubes=3)}),
    "segment": ([{"type": "video", "video": SCENES, "start_s": 3.0, "end_s": 9.5}], {}),
    "variable frame rate": ([{"type": "video", "video": VARIABLE}], {}),
    "two videos": ([{"type": "video", "video": SCENES}, {"type": "video", "video": VARIABLE}], {}),
    "image": ([{"type": "image", "image": PICTURE}], {}),
    "text alone": ([], {}),
    "subtitles": (
        [{"type": "video", "video": SCENES, "subtitles": SUBTITLE_FILE}],
        {"words": f"{SUBTITLES}\n{CHOICES}"},
    ),
    "beams": ([{"type": "video", "video": SCENES}], {"generation": GenerationSettings(max_new_tokens=8, num_beams=2)}),
    "repetition penalty": (
        [{"type": "video", "video": SCENES}],
        {
            "words": "Which shapes are seen ?",
            "generation": GenerationSettings(max_new_tokens=16, repetition_penalty=1.5),
        },
    ),
    "likelihood": ([{"type": "video", "video": SCENES}], {"kind": RequestKind.SCORE, "continuation": " D"}),
}


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that may move pixels by a rounding."""
    return {name: metadata.version(name) for name in ("av", "numpy", "pillow")}


def frame_outputs() -> dict[str, dict[str, Any]]:
    """Read the fixed videos under every rule; frames are stored as a hash and as their mean colours."""
    return {name: _frames(*read) for name, read in READS.items()}


def _frames(path: str, rule: FrameRule, options: dict[str, Any]) -> dict[str, Any]:
    clip = read_video(path, rule, (96, 96), **options)
    means = clip.frames.astype(np.float64).mean((1, 2))
    return {
        "timestamps_s": [round(float(time), 6) for time in clip.timestamps_s],
        "shortfall": clip.shortfall,
        "sha256": hashlib.sha256(np.ascontiguousarray(clip.frames).tobytes()).hexdigest(),
        "mean_colours": means.round(2).tolist(),
    }


def reply_outputs(folder: Path) -> dict[str, dict[str, Any]]:
    """Ask the fixed questions through the engine, whose journal is kept in `folder`."""
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32")
    side = model.processor.video_processor.frame_size
    settings = AnswerSettings("tiny", REPLY_VERSION, "float32", FrameRule(), CubeRule(), "pyav", "exact")
    options = EngineOptions(readers=0, show_progress=False, reading=ReadSettings((side, side)))
    engine = Engine(model, Journal(folder), settings, None, options)  # type: ignore[arg-type] - no task is asked back
    engine.answer([_question(name, *asked) for name, asked in QUESTIONS.items()])
    return {record.sample_id: _reply(record.model_dump(mode="json")) for record in engine.journal.records()}


def _question(name: str, media: list[dict[str, Any]], changes: dict[str, Any]) -> Request:
    words = changes.pop("words", CHOICES) if "words" in (changes := dict(changes)) else CHOICES
    messages = [{"role": "user", "content": [*media, {"type": "text", "text": words}]}]
    values = {"generation": GenerationSettings(max_new_tokens=8), "rule": FrameRule()} | changes
    return Request("golden", name, "test", 0, name, messages, **values)


def _reply(record: dict[str, Any]) -> dict[str, Any]:
    kept = ("fate", "reason", "text", "loss", "is_greedy", "prompt_tokens", "visual_tokens", "new_tokens", "videos")
    return {name: record[name] for name in kept}


def main() -> None:
    """Write the outputs, unless they moved under an old version."""
    with tempfile.TemporaryDirectory() as folder:
        made: dict[str, Any] = {
            "reply_version": REPLY_VERSION,
            "frame_version": FRAME_VERSION,
            "libraries": libraries(),
            "frames": frame_outputs(),
            "replies": reply_outputs(Path(folder)),
        }
    stored = json.loads(STORED.read_text()) if STORED.exists() else None
    for version, outputs in (("frame_version", "frames"), ("reply_version", "replies")):
        same_version = stored is not None and stored[version] == made[version]
        shared = {name: made[outputs].get(name) for name in stored[outputs]} if stored else {}
        if same_version and shared != stored[outputs]:
            sys.exit(f"{outputs} moved, but {version.upper()} is still {made[version]}: raise it first, or restore")
    STORED.write_text(json.dumps(made, indent=1) + "\n")
    print(f"Written: {STORED}")


if __name__ == "__main__":
    main()
