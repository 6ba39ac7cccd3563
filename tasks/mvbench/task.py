"""MVBench (arXiv 2311.17005): 20 subtasks of 200 questions on short clips.

The repository's branch `main` has the original clips, with start and end in the annotations and frames in folders for
one subtask; the branch `video` has cut clips in other folders. Average: mean of the accuracies of the 20 subtasks.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from qsv_eval.data.annotation_files import read_rows
from qsv_eval.data.benchmark import Benchmark, BenchmarkSources
from qsv_eval.data.letters import answer_letter, letter_options
from qsv_eval.data.media_index import MediaIndex
from qsv_eval.data.sample import Sample, SampleVideo
from qsv_eval.scoring.averages import mean_by
from qsv_eval.scoring.scorers import Choice
from qsv_eval.tasks.task import Task, TaskPrompt

__all__ = ["MVBENCH", "SUBTASKS", "TASKS", "question_block"]


class _Folders(NamedTuple):
    """Folders of a subtask's clips."""

    original: str
    cut: str
    """Folder of the cut clips, in the branch `video`."""


_STAR = _Folders("star/Charades_v1_480", "star/Charades_segment")
_CLEVRER = _Folders("clevrer/video_validation", "clevrer/video_validation")
_PERCEPTION = _Folders("perception/videos", "perception/videos")

SUBTASKS: Final[Mapping[str, _Folders]] = {
    "action_sequence": _STAR,
    "action_prediction": _STAR,
    "action_antonym": _Folders("ssv2_video", "ssv2_video_mp4"),
    "fine_grained_action": _Folders("Moments_in_Time_Raw/videos", "Moments_in_Time_Raw/videos"),
    "unexpected_action": _Folders("FunQA_test/test", "FunQA_test/test"),
    "object_existence": _CLEVRER,
    "object_interaction": _STAR,
    "object_shuffle": _PERCEPTION,
    "moving_direction": _CLEVRER,
    "action_localization": _Folders("sta/sta_video", "sta/sta_video_segment"),
    "scene_transition": _Folders("scene_qa/video", "scene_qa/video"),
    "action_count": _PERCEPTION,
    "moving_count": _CLEVRER,
    "moving_attribute": _CLEVRER,
    "state_change": _PERCEPTION,
    "fine_grained_pose": _Folders("nturgbd", "nturgbd_convert"),
    "character_order": _PERCEPTION,
    "egocentric_navigation": _Folders("vlnqa", "vlnqa"),
    "episodic_reasoning": _Folders("tvqa/frames_fps3_hq", "tvqa/video_fps3_hq_segment"),
    "counterfactual_inference": _CLEVRER,
}

_TVQA_FPS: Final = 3.0
"""Frame rate of the folders of frames."""


def _read_json(sources: BenchmarkSources) -> list[Sample] | None:
    """Read `json/SUBTASK.json`, with clips of either branch."""
    files = sources.files("json/*.json")
    if {file.stem for file in files}.isdisjoint(SUBTASKS):
        return None
    media = sources.media
    return [
        _sample(file.stem, index, row, media)
        for file in files
        if file.stem in SUBTASKS
        for index, row in enumerate(read_rows([file], ("video", "question", "candidates", "answer")))
    ]


def _sample(subtask: str, index: int, row: Mapping[str, Any], media: MediaIndex) -> Sample:
    options = tuple(map(str, row["candidates"]))
    return Sample(
        id=f"{subtask}-{index}",
        video=_video(SUBTASKS[subtask], row, media),
        question=row["question"],
        options=options,
        answer=answer_letter(options, row["answer"]),
        cluster=f"{SUBTASKS[subtask].original}/{row['video']}",
        groups={"subtask": subtask},
    )


def _video(folders: _Folders, row: Mapping[str, Any], media: MediaIndex) -> SampleVideo:
    """Return the original clip with bounds, the cut clip, or the folder of frames, by the files that exist."""
    name, bounds = row["video"], {"start_s": row.get("start"), "end_s": row.get("end")}
    original, cut = f"{folders.original}/{name}", f"{folders.cut}/{name}"
    if not Path(name).suffix and (folder := media.folder(original)):
        return SampleVideo(path=str(folder), frames_fps=_TVQA_FPS, **bounds)
    if not Path(name).suffix:
        original, cut = f"{original}.mp4", f"{cut}.mp4"
    if original == cut:
        return SampleVideo(path=str(media.expect(original)), **bounds)
    path = media.expect(original, cut)
    is_cut = path.parts[-1 - len(Path(cut).parts[:-1]) : -1] == Path(cut).parts[:-1]
    return SampleVideo(path=str(path), **({} if is_cut else bounds))


MVBENCH: Final = Benchmark(
    name="mvbench",
    sets={"test": _read_json},
    repos=("OpenGVLab/MVBench",),
    annotations=("json/*.json",),
    hf_home="mvbench_video",
    needs="json/*.json and the unpacked clips",
)


_SYSTEM: Final = (
    "Carefully watch the video and pay attention to the cause and sequence of events, the detail and movement of "
    "objects, and the action and pose of persons. Based on your observations, select the best option that accurately "
    "addresses the question.\n"
)


def question_block(sample: Sample) -> str:
    """Return question and options in the format of MVBench and MLVU."""
    return "\n".join(
        [f"Question: {sample.question}", "Options:", *letter_options(sample.options, "({letter}) {option}")]
    )


def _official(sample: Sample) -> TaskPrompt:
    # The authors also prefill the reply with "Best option:("; a chat model starts its own turn here.
    return TaskPrompt(f"{question_block(sample)}\nOnly give the best option.", _SYSTEM)


def _reference(sample: Sample) -> TaskPrompt:
    return TaskPrompt(question_block(sample))


_PROMPTS: Final = {"qsv_mvbench": _official, "qsv_mvbench_reference": _reference}

TASKS: Final[Mapping[str, Task]] = {
    name: Task(name, MVBENCH, "test", prompt, Choice(letters="ABCDE"), mean_by("subtask"), ("subtask",))
    for name, prompt in _PROMPTS.items()
}
