"""What a unit's questions look at: every file seen once, and from that what each sight shows.

Of a file's frames only the summaries stay (docs/design.md, decision 2), so its pixels are free again before the first
question is answered, and any frame rule takes its frames from the same summaries.
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
    """What one sight shows."""

    visual: VisualTokens
    media: list[DecodedVideo | DecodedImage]
    """In the order of the sight's media."""
    degraded: bool
    """Whether fewer frames were looked at than were asked for, because memory ran out."""

    @property
    def frames(self) -> int:
        """Frames of its longest video."""
        return max((media.frames for media in self.media if isinstance(media, DecodedVideo)), default=0)


class _EncodedFile(NamedTuple):
    """A file that was looked at."""

    summaries: FrameSummaries
    timestamps_s: list[float]
    views: dict[ClipRequest, FrameSelection | Exception]
    """With positions in the summaries."""
    degraded: bool


class MediaEncoder:
    """The videos of a unit."""

    def __init__(self, model: Quicksviewer, *, allow_degraded: bool = False) -> None:
        self._model = model
        self._allow_degraded = allow_degraded
        self._files: dict[str, _EncodedFile | Exception] = {}

    def see(self, file: FileRead, result: ReadResult) -> None:
        """Look at the frames of a file; what fails, fails the sights that show it. The frames are not kept."""
        if result.footage is None:
            self._files[file.path] = result.error or AssertionError("a result without footage has an error")
            return
        for keep in self._choices(result.footage):
            found = oom.catch_sample_error(self._summarise, result.footage.frames, keep)
            if isinstance(found, Exception):
                self._files[file.path] = found
            else:
                self._files[file.path] = _seen(file, result.footage, keep, found)
            if not oom.is_out_of_memory(found):
                return

    def shows(self, sight: VisualInput) -> Hashable:
        """Return what a sight comes to: equal for two whose rules pick the same frames and cut them alike.

        Raises what its files failed with.
        """
        views = [(video.path, self._view(video.path or "", request)[1]) for video, request in sight.videos()]
        frames = tuple((path, tuple(view.positions), view.duration_s, view.shortfall) for path, view in views)
        return sight.cube_rule, frames, tuple(media for media in sight.media if media.kind == "image")

    def look(self, sight: VisualInput, images: Sequence[Any], limit: int | None = None) -> EncodedMedia:
        """Return what a sight shows, `images` being its images in order; of each video at most `limit` frames.

        Raises what its files or images failed with.
        """
        parts, videos, degraded = [], [], False
        for video, request in sight.videos():
            seen, view = self._view(video.path or "", request)
            positions = view.positions
            if limit is not None and limit < len(positions):
                positions, degraded = [positions[i] for i in subsample(len(positions), limit)], True
            degraded = degraded or seen.degraded
            times = [seen.timestamps_s[position] for position in positions]
            lost = 0 if degraded else view.shortfall
            videos.append(DecodedVideo(len(positions), times, view.duration_s, lost))
            parts.append(seen.summaries.take(positions))
        visual = self._model.visual_tokens(self._model.summarise_images(images), parts, sight.cube_rule)
        count_tiles = self._model.processor.image_processor.tile_count
        queues = {"video": iter(videos), "image": iter([DecodedImage(count_tiles(image)) for image in images])}
        media: list[Any] = [next(queues[media.kind]) for media in sight.media]
        return EncodedMedia(visual, media, degraded)

    def _view(self, path: str, request: ClipRequest) -> tuple[_EncodedFile, FrameSelection]:
        seen = self._files[path]
        if isinstance(seen, Exception):
            raise seen
        view = seen.views[request]
        if isinstance(view, Exception):
            raise view
        return seen, view

    def _choices(self, footage: DecodedFrames) -> Iterator[list[int]]:
        """Yield which frames to look at: all of them, and where that is allowed fewer and fewer for each request."""
        yield list(range(len(footage.frames)))
        if self._allow_degraded:
            views = [view for view in footage.views if isinstance(view, FrameSelection)]
            for rung in oom.smaller_frame_counts(max(len(view.positions) for view in views)):
                yield sorted({view.positions[i] for view in views for i in subsample(len(view.positions), rung)})

    def _summarise(self, frames_THWC: Any, keep: list[int]) -> FrameSummaries:
        frames = frames_THWC if len(keep) == len(frames_THWC) else frames_THWC[keep]
        found = oom.catch_sample_error(self._model.summarise_frames, frames)
        if oom.is_out_of_memory(found):
            oom.free_memory()
            perception = self._model.model.model.perception
            chunk, perception.chunk_frames = perception.chunk_frames, 1
            found = oom.catch_sample_error(self._model.summarise_frames, frames)
            perception.chunk_frames = chunk
        if isinstance(found, Exception):
            raise found
        return found


def _seen(file: FileRead, footage: DecodedFrames, keep: list[int], summaries: FrameSummaries) -> _EncodedFile:
    place = {position: number for number, position in enumerate(keep)}

    def moved(view: FrameSelection | Exception) -> FrameSelection | Exception:
        if isinstance(view, Exception):
            return view
        return view._replace(positions=[place[position] for position in view.positions if position in place])

    views = {request: moved(view) for request, view in zip(file.requests, footage.views, strict=True)}
    times = [footage.timestamps_s[position] for position in keep]
    return _EncodedFile(summaries, times, views, len(keep) < len(footage.frames))
