"""The media of a sample as parts of a chat message."""

from collections.abc import Mapping
from typing import Any

from qsv_eval.data.frame_folder import mux_frames
from qsv_eval.data.sample import Sample
from qsv_eval.tasks.registry import task_named

__all__ = ["media_parts"]


def media_parts(doc: Mapping[str, Any], sample: Sample) -> list[dict[str, Any]]:
    """Return the video or the images of a sample.

    A video's part has, beside its path, the bounds in seconds and the file of its subtitles where it has any. A file
    that is not there is no error here: it is one sample's failure, met on reading.
    """
    if sample.video is None:
        return [{"type": "image", "url": image} for name in sample.images for image in _pictures(doc[name])]
    video = sample.video
    path = video.path
    if locate := task_named(doc["task"]).find_video:
        path = locate(video)
    elif video.frames_fps is not None:
        path = str(mux_frames(path, video.frames_fps))
    said = {"start_time": video.start_s, "end_time": video.end_s, "subtitles": video.subtitles}
    return [{"type": "video", "url": path, **{name: value for name, value in said.items() if value is not None}}]


def _pictures(column: Any) -> list[Any]:
    return [image for image in column if image is not None] if isinstance(column, list) else [column]
