"""Encode the media of a work item: each file once, and from its summaries the visual tokens of each visual input.

Only summaries of a file's frames are kept (docs/design.md, decision 2), so its pixels are freed before the first
request is answered, and every frame rule takes its frames from the same summaries.
"""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

from qsv_eval.model_adapters.engine import oom
from qsv_eval.model_adapters.engine.scheduler import FileRead, VisualInput
from qsv_eval.model_adapters.frames import ClipRequest, DecodedFrames, FrameSelection, subsample
from qsv_eval.model_adapters.frames.read_job import ReadResult
from qsv_eval.model_adapters.quicksviewer import Quicksviewer
from qsv_eval.model_adapters.quicksviewer.messages import DecodedImage, DecodedVideo
from qsv_eval.model_adapters.quicksviewer.perception import FrameSummaries, VisualTokens

__all__ = ["EncodedMedia", "MediaEncoder"]


class EncodedMedia(NamedTuple):
    """Visual tokens and facts of one visual input."""

    visual: VisualTokens
    media: list[DecodedVideo | DecodedImage]
    """In the order of the visual input's media."""
    degraded: bool
    """Whether fewer frames than requested were used, because memory ran out."""

    @property
    def frames(self) -> int:
        """The number of frames of the longest video."""
        return max((media.frames for media in self.media if isinstance(media, DecodedVideo)), default=0)


class _EncodedFile(NamedTuple):
    """Summaries of a file's frames."""

    summaries: FrameSummaries
    timestamps_s: list[float]
    selections: dict[ClipRequest, FrameSelection | Exception]
    """The summaries that each clip uses, as positions."""
    degraded: bool


class MediaEncoder:
    """Encoder of the media of one work item."""

    def __init__(self, model: Quicksviewer, *, allow_degraded: bool = False) -> None:
        self._model = model
        self._allow_degraded = allow_degraded
        self._files: dict[str, _EncodedFile | Exception] = {}

    def encode_file(self, file: FileRead, result: ReadResult) -> None:
        """Summarise a file's frames, which are not kept. An error is kept for the visual inputs with this file."""
        if result.footage is None:
            self._files[file.path] = result.error or AssertionError("a result without frames has an error")
            return
        for positions in self._frame_choices(result.footage):
            summaries = oom.catch_sample_error(self._summarise, result.footage.frames, positions)
            if isinstance(summaries, Exception):
                self._files[file.path] = summaries
            else:
                self._files[file.path] = _encoded_file(file, result.footage, positions, summaries)
            if not oom.is_out_of_memory(summaries):
                return

    def content_key(self, visual_input: VisualInput) -> Hashable:
        """Return a key that is equal for visual inputs with the same frames and cubes.

        Raises the error of a file that could not be read or encoded.
        """
        videos = [(video.path, self._select(video.path or "", clip)[1]) for video, clip in visual_input.videos()]
        frames = tuple((path, tuple(used.positions), used.duration_s, used.shortfall) for path, used in videos)
        return visual_input.cube_rule, frames, tuple(media for media in visual_input.media if media.kind == "image")

    def encode(self, visual_input: VisualInput, images: Sequence[Any], max_frames: int | None = None) -> EncodedMedia:
        """Encode a visual input with its `images` in order, and at most `max_frames` frames of each video.

        Raises the error of a file or image that could not be read or encoded.
        """
        parts, videos, degraded = [], [], False
        for video, clip in visual_input.videos():
            file, selection = self._select(video.path or "", clip)
            positions = selection.positions
            if max_frames is not None and max_frames < len(positions):
                positions, degraded = [positions[i] for i in subsample(len(positions), max_frames)], True
            degraded = degraded or file.degraded
            times = [file.timestamps_s[position] for position in positions]
            lost = 0 if degraded else selection.shortfall
            videos.append(DecodedVideo(len(positions), times, selection.duration_s, lost))
            parts.append(file.summaries.take(positions))
        visual = self._model.visual_tokens(self._model.summarise_images(images), parts, visual_input.cube_rule)
        count_tiles = self._model.processor.image_processor.tile_count
        queues = {"video": iter(videos), "image": iter([DecodedImage(count_tiles(image)) for image in images])}
        media: list[Any] = [next(queues[media.kind]) for media in visual_input.media]
        return EncodedMedia(visual, media, degraded)

    def _select(self, path: str, clip: ClipRequest) -> tuple[_EncodedFile, FrameSelection]:
        file = self._files[path]
        if isinstance(file, Exception):
            raise file
        selection = file.selections[clip]
        if isinstance(selection, Exception):
            raise selection
        return file, selection

    def _frame_choices(self, decoded: DecodedFrames) -> Iterator[list[int]]:
        """Yield positions of frames to encode: all, then (if degraded answers are allowed) fewer and fewer per clip."""
        yield list(range(len(decoded.frames)))
        if self._allow_degraded:
            clips = [view.positions for view in decoded.views if isinstance(view, FrameSelection)]
            for count in oom.smaller_frame_counts(max(map(len, clips))):
                yield sorted({clip[i] for clip in clips for i in subsample(len(clip), count)})

    def _summarise(self, frames_THWC: Any, positions: list[int]) -> FrameSummaries:
        frames = frames_THWC if len(positions) == len(frames_THWC) else frames_THWC[positions]
        summaries = oom.catch_sample_error(self._model.summarise_frames, frames)
        if oom.is_out_of_memory(summaries):
            oom.free_memory()
            perception = self._model.model.model.perception
            chunk_frames, perception.chunk_frames = perception.chunk_frames, 1
            summaries = oom.catch_sample_error(self._model.summarise_frames, frames)
            perception.chunk_frames = chunk_frames
        if isinstance(summaries, Exception):
            raise summaries
        return summaries


def _encoded_file(
    file: FileRead, decoded: DecodedFrames, positions: list[int], summaries: FrameSummaries
) -> _EncodedFile:
    new_positions = {position: i for i, position in enumerate(positions)}

    def among_summaries(view: FrameSelection | Exception) -> FrameSelection | Exception:
        if isinstance(view, Exception):
            return view
        return view._replace(positions=[new_positions[old] for old in view.positions if old in new_positions])

    selections = {clip: among_summaries(view) for clip, view in zip(file.clips, decoded.views, strict=True)}
    times = [decoded.timestamps_s[position] for position in positions]
    return _EncodedFile(summaries, times, selections, len(positions) < len(decoded.frames))
