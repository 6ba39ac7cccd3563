"""Generated clips and questions: the built-in sample benchmark `qsv_demo`, and training data from other seeds.

Pure drawing and question writing: imports numpy and PyAV only.
"""

from pathlib import Path

from qsv_eval.demo.benchmark import DemoRecord, demo_questions, demo_records
from qsv_eval.demo.draw import frame_at, sampled_frames, sampled_instants_s, video_frames
from qsv_eval.demo.encode import ensure_video, video_name
from qsv_eval.demo.grammar import KINDS, vocabulary
from qsv_eval.demo.questions import LETTERS, DemoQuestion, clip_questions
from qsv_eval.demo.scene import DURATIONS, SPLITS, ClipSpec, Scene, clip_from_id, make_clip, max_cuts

__all__ = [
    "CHECKPOINT",
    "DURATIONS",
    "KINDS",
    "LETTERS",
    "SPLITS",
    "ClipSpec",
    "DemoQuestion",
    "DemoRecord",
    "Scene",
    "clip_from_id",
    "clip_questions",
    "demo_questions",
    "demo_records",
    "ensure_video",
    "frame_at",
    "make_clip",
    "max_cuts",
    "sampled_frames",
    "sampled_instants_s",
    "video_frames",
    "video_name",
    "vocabulary",
]

CHECKPOINT = Path(__file__).parent / "quicksviewer-tiny"
"""The built-in model, trained by `qsv-eval train tiny`; its README.md is its model card."""
