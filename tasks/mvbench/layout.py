"""MVBench: 20 subtasks of 200 questions on short clips.

The branch `main` has the original clips with the seconds in which the question's scene lies, and for one subtask
folders of frames; the branch `video` has the scenes already cut, in folders of other names. The questions are the same.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from qsv_eval.data.benchmark import Benchmark, Sources
from qsv_eval.data.letters import right_letter
from qsv_eval.data.media import MediaIndex
from qsv_eval.data.sample import Sample, Video
from qsv_eval.data.tables import read_rows

__all__ = ["MVBENCH", "SUBTASKS"]


class _Folders(NamedTuple):
    """Where a subtask's clips lie."""

    original: str
    cut: str
    """In the branch `video`."""


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


def _both(sources: Sources) -> list[Sample] | None:
    """Read `json/SUBTASK.json`, whichever branch the clips beside it are of."""
    files = sources.files("json/*.json")
    if {file.stem for file in files}.isdisjoint(SUBTASKS):
        return None
    media = sources.media
    return [
        _sample(file.stem, number, row, media)
        for file in files
        if file.stem in SUBTASKS
        for number, row in enumerate(read_rows([file], ("video", "question", "candidates", "answer")))
    ]


def _sample(subtask: str, number: int, row: Mapping[str, Any], media: MediaIndex) -> Sample:
    options = tuple(map(str, row["candidates"]))
    return Sample(
        id=f"{subtask}-{number}",
        video=_video(SUBTASKS[subtask], row, media),
        question=row["question"],
        options=options,
        answer=right_letter(options, row["answer"]),
        cluster=f"{SUBTASKS[subtask].original}/{row['video']}",
        groups={"subtask": subtask},
    )


def _video(folders: _Folders, row: Mapping[str, Any], media: MediaIndex) -> Video:
    name, bounds = row["video"], {"start_s": row.get("start"), "end_s": row.get("end")}
    original, cut = f"{folders.original}/{name}", f"{folders.cut}/{name}"
    if not Path(name).suffix and (folder := media.folder(original)):
        return Video(path=str(folder), frames_fps=_TVQA_FPS, **bounds)
    if not Path(name).suffix:
        original, cut = f"{original}.mp4", f"{cut}.mp4"
    if original == cut:
        return Video(path=str(media.expect(original)), **bounds)
    found = media.expect(original, cut)
    is_cut = found.parts[-1 - len(Path(cut).parts[:-1]) : -1] == Path(cut).parts[:-1]
    return Video(path=str(found), **({} if is_cut else bounds))


MVBENCH: Final = Benchmark(
    name="mvbench",
    sets={"test": _both},
    repos=("OpenGVLab/MVBench",),
    annotations=("json/*.json",),
    hf_home="mvbench_video",
    needs="json/*.json and the unpacked clips",
)
