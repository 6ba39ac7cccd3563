"""Media of a sample as parts of a chat message."""

from collections.abc import Mapping
from typing import Any

from qsv_eval.data.frame_folder import mux_frames
from qsv_eval.data.sample import Sample
from qsv_eval.tasks.registry import task_named

__all__ = ["media_parts"]


def media_parts(doc: Mapping[str, Any], sample: Sample) -> list[dict[str, Any]]:
    """Return the parts for the video or the images of a sample.

    A video's part has its path and, where given, bounds in seconds and a subtitle file. A missing file is not an error
    here: it fails this sample when it is read.
    """
    if sample.video is None:
        return [{"type": "image", "url": image} for name in sample.images for image in _images(doc[name])]
    video = sample.video
    path = video.path
    if find_video := task_named(doc["task"]).find_video:
        path = find_video(video)
    elif video.frames_fps is not None:
        path = str(mux_frames(path, video.frames_fps))
    options = {"start_time": video.start_s, "end_time": video.end_s, "subtitles": video.subtitles}
    return [{"type": "video", "url": path, **{name: value for name, value in options.items() if value is not None}}]


def _images(column: Any) -> list[Any]:
    return [image for image in column if image is not None] if isinstance(column, list) else [column]
