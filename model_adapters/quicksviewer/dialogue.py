"""A conversation that goes on: its media are looked at once, and what the model has read it does not read again."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from threading import Event
from typing import Any

from qsv_eval.model_adapters.quicksviewer.chat import Quicksviewer, Reply
from qsv_eval.model_adapters.quicksviewer.generation import NO_PREFIX, MergedPrompt, Prefix, common_length, read_prefix
from qsv_eval.model_adapters.quicksviewer.messages import media_of
from qsv_eval.model_adapters.quicksviewer.perception import FrameSummaries, VisualTokens

__all__ = ["Dialogue"]


class Dialogue:
    """Turns of a user and of the model, each reply equal to `Quicksviewer.chat` with all that was said before it.

    Of images and frames their summaries stay, of the text what the language model made of it, so that a turn without
    new media costs its own words. A turn that fails or is broken off was never there.
    """

    def __init__(self, model: Quicksviewer, *, max_new_tokens: int = 2048, **generation: Any) -> None:
        """Begin one; options as for `Quicksviewer.chat`."""
        self.model = model
        self.messages: list[dict[str, Any]] = []
        """Messages so far, replies included, with `DecodedImage` and `DecodedVideo` for media."""
        self._config = model.generation(max_new_tokens, **generation)
        self._tiles = list[FrameSummaries]()
        self._videos = list[FrameSummaries]()
        self._visual = model.visual_tokens(None, [])
        self._prompt: MergedPrompt | None = None
        self._read = NO_PREFIX
        """The beginning of `_prompt`."""

    def say(self, content: str | Sequence[Mapping[str, Any]], hear: Callable[[str], object] | None = None) -> Reply:
        """Add a turn of the user, and return what the model replies.

        Args:
            content: a text, which is never anything but a text, or parts as for `Quicksviewer.chat_batch`.
            hear: is told the reply piece by piece while it is generated; what it raises ends the turn.

        Raises:
            MediaError: a video or image cannot be read.
            SetupError: the content is not of the form above.
        """
        turn = self.model.read_media([{"role": "user", "content": content}])
        tiles, videos, visual = self._looked_at(turn)
        messages = [*self.messages, *self.model.processor.without_pixels(turn)]
        prompt = self.model.prompt(messages, visual)
        reply = self.model.answer(messages, prompt, self._config, self._read_all_of(prompt), hear)
        self.messages = [*messages, {"role": "assistant", "content": reply.text}]
        self._tiles, self._videos, self._visual = tiles, videos, visual
        return reply

    def stream(self, content: str | Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """Add a turn as `say` does, and yield the reply piece by piece; who stops listening breaks it off."""
        pieces: SimpleQueue[str | None] = SimpleQueue()
        unheard = Event()

        def hear(piece: str) -> None:
            if unheard.is_set():
                raise _UnheardError
            pieces.put(piece)

        with ThreadPoolExecutor(1) as pool:
            turn = pool.submit(self.say, content, hear)
            turn.add_done_callback(lambda _: pieces.put(None))
            try:
                yield from iter(pieces.get, None)
                turn.result()
            finally:
                unheard.set()

    def _read_all_of(self, prompt: MergedPrompt) -> Prefix:
        """Read what of a prompt is new, up to the token that generation begins with."""
        common = 0 if self._prompt is None else common_length([self._prompt, prompt])
        # Taken away while it grows: a turn that is broken off may leave it torn.
        read, self._read = self._read.first(common), NO_PREFIX
        self._read, self._prompt = read_prefix(self.model.model, prompt, len(prompt) - 1, read), prompt
        return self._read

    def _looked_at(
        self, turn: Sequence[Mapping[str, Any]]
    ) -> tuple[list[FrameSummaries], list[FrameSummaries], VisualTokens]:
        """Return what was seen so far and in this turn."""
        images, videos = media_of(turn, "image"), media_of(turn, "video")
        if not images and not videos:
            return self._tiles, self._videos, self._visual
        seen = self.model.summarise_images(images)
        tiles = self._tiles if seen is None else [*self._tiles, seen]
        frames = [*self._videos, *(self.model.summarise_frames(video.frames_THWC) for video in videos)]
        visual = self.model.visual_tokens(FrameSummaries.join(tiles) if tiles else None, frames)
        return tiles, frames, visual


class _UnheardError(Exception):
    """Nobody listens to a reply any more."""
