"""The processor: conversations, or texts with images and videos, to the model's inputs."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from transformers import AutoTokenizer, BatchFeature, PreTrainedTokenizerBase, ProcessorMixin

from qsv_eval.model_adapters.errors import InputError
from qsv_eval.model_adapters.quicksviewer.chat_template import (
    ChatTemplate,
    RenderedChat,
    check_marks,
    check_nesting,
    texts_of,
)
from qsv_eval.model_adapters.quicksviewer.image_processing import (
    QuicksviewerImageProcessor,
    QuicksviewerVideoProcessor,
    saved_settings,
)
from qsv_eval.model_adapters.quicksviewer.media_inputs import VideoSource, as_image, flat_images, flat_videos
from qsv_eval.model_adapters.quicksviewer.messages import (
    Conversation,
    DecodedImage,
    DecodedVideo,
    conversations_of,
    media_of,
    parts_of,
)
from qsv_eval.model_adapters.quicksviewer.padding import Row, RowOptions, batch_rows
from qsv_eval.model_adapters.quicksviewer.processor_options import (
    CallOptions,
    QuicksviewerProcessorKwargs,
    call_options,
    refuse_saved,
)
from qsv_eval.model_adapters.quicksviewer.prompt_tokens import (
    MARKS,
    PLACEHOLDER,
    ExpandedPrompt,
    PromptTokens,
    expand,
    image_markup,
    loss_mask,
    template_for,
    tokenize_prompt,
    unescape,
    video_markup,
)

__all__ = ["QuicksviewerProcessor"]


class QuicksviewerProcessor(ProcessorMixin):
    """Tokenizer, chat template, and image and video processors in one.

    Two ways lead to the same batch: `apply_chat_template(…, tokenize=True, return_dict=True)` on conversations, and a
    call with texts in which `<image>` and `<video>` stand for whole images and videos, as `apply_chat_template` renders
    them. Conversations are lists of messages `{"role": …, "content": text | [part, …]}`; a part is `{"type": "text",
    "text": …}`, `{"type": "image", "image": …}` or `{"type": "video", "video": …}`. Newlines join the parts, or nothing
    in a message that says `"glued": True`.

    `tokens`, `learning_tokens` and `prompt` need no pixels: `DecodedImage` and `DecodedVideo` may stand for the media.
    """

    valid_processor_kwargs = QuicksviewerProcessorKwargs  # type: ignore[assignment]
    skip_tensor_conversion = ["text_replacement_offsets"]  # noqa: RUF012 - transformers' form

    def __init__(
        self,
        image_processor: QuicksviewerImageProcessor,
        tokenizer: PreTrainedTokenizerBase,
        video_processor: QuicksviewerVideoProcessor,
        chat_template: str | None = None,
        thumbnail: bool = True,
    ) -> None:
        if PLACEHOLDER not in tokenizer.get_vocab():
            tokenizer.add_tokens([PLACEHOLDER], special_tokens=True)
        self.thumbnail = thumbnail
        self.image_token, self.video_token = MARKS["image"], MARKS["video"]
        self.image_token_id = tokenizer.convert_tokens_to_ids(PLACEHOLDER)
        template = chat_template or template_for(tokenizer)
        super().__init__(image_processor, tokenizer, video_processor, chat_template=template)

    @classmethod
    def _get_arguments_from_pretrained(
        cls, pretrained_model_name_or_path: Any, processor_dict: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Any]:
        """Build the parts; released checkpoints have SigLIP's preprocessor_config.json at most, with the size."""
        refuse_saved(kwargs, cls.__name__)
        kwargs = {name: value for name, value in kwargs.items() if name not in (*cls.get_attributes(), "thumbnail")}
        sizes = {name: kwargs.pop(name) for name in ("tile_size", "canvases_hw", "frame_size") if name in kwargs}
        tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **kwargs)
        image, video = saved_settings(pretrained_model_name_or_path, processor_dict or {}, kwargs)
        image |= {name: sizes[name] for name in ("tile_size", "canvases_hw") if name in sizes}
        video |= {name: sizes[name] for name in ("frame_size",) if name in sizes}
        return [QuicksviewerImageProcessor(**image), tokenizer, QuicksviewerVideoProcessor(**video)]

    @property
    def model_input_names(self) -> list[str]:
        """Names of what a batch holds."""
        pixels = [*self.image_processor.model_input_names, *self.video_processor.model_input_names]
        return ["input_ids", "attention_mask", "visual_kind", "frame_ids", *pixels]

    def __call__(
        self,
        images: Any = None,
        text: str | Sequence[str] | None = None,
        videos: Any = None,
        **kwargs: Unpack[QuicksviewerProcessorKwargs],
    ) -> BatchFeature:
        """Turn texts with images and videos into a batch for the model.

        Args:
            images: one image or a list, nested (one list for each text) or flat in the order of the texts; paths, PIL
                images, uint8 arrays or tensors.
            text: one text or a list, with an `<image>` or `<video>` for each image and video.
            videos: likewise, paths or frames; see `QuicksviewerVideoProcessor.read`.
            kwargs: `padding` (True unless said otherwise), `padding_side`, `truncation`, `max_length`,
                `pad_to_multiple_of`, `add_special_tokens`, `return_attention_mask`, `return_tensors`,
                `return_mm_token_type_ids`, `return_text_replacement_offsets`; `num_frames`, `fps`, `do_sample_frames`,
                `video_metadata`; `input_data_format`. Each may stand in `text_kwargs`, `images_kwargs` or
                `videos_kwargs`, too.

        Returns:
            `input_ids`, `attention_mask`, `visual_kind`, `frame_ids` (B, L); and where there are images or videos
            `pixel_values` with `tile_counts`, `pixel_values_videos` with `frame_counts`.

        Raises:
            InputError: texts and media do not fit together, or an input or option is of no known form.
            MediaError: a file cannot be read.
        """
        options = self._options(kwargs)
        texts = texts_of(text, images)
        check_nesting(texts, "image", images, flat_images)
        check_nesting(texts, "video", videos, flat_videos)
        pictures = [] if images is None else flat_images(images)
        clips = [] if videos is None else flat_videos(videos)
        return self._batch([RenderedChat(one, []) for one in texts], pictures, clips, options)

    def apply_chat_template(
        self,
        conversation: Conversation | Sequence[Conversation],
        chat_template: str | None = None,
        tools: list[Any] | None = None,
        documents: list[dict[str, str]] | None = None,
        add_generation_prompt: bool = False,
        continue_final_message: bool | str = False,
        return_assistant_tokens_mask: bool = False,
        tokenize: bool = False,
        return_tensors: str | None = None,
        return_dict: bool = False,
        load_audio_from_video: bool = False,
        processor_kwargs: Mapping[str, Any] | None = None,
        sanitize_control_tokens: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Render one or several conversations, as texts or (`tokenize`) as a batch.

        A rendered text holds `<image>` and `<video>` where media stand, and gives the same batch when the processor is
        called with it and the media. Special tokens that a user typed are always text, never obeyed; in a rendered text
        they are broken by a private character (U+E000), which the processor takes out again.

        Args:
            conversation: a list of messages, or a list of such lists.
            chat_template: a template, or the name of one of the processor's, instead of its default.
            tools: for templates that know them; refused otherwise, as are `documents`.
            documents: see `tools`.
            add_generation_prompt: end with the header of a reply.
            continue_final_message: leave the last message open for the model to go on with it.
            return_assistant_tokens_mask: add `assistant_masks`, 1 where the assistant speaks.
            tokenize: return ids, or with `return_dict` the whole batch.
            return_tensors: "pt" or "np"; lists of ids otherwise.
            return_dict: return a batch; without `tokenize` it has no effect, as in transformers.
            load_audio_from_video: refused.
            processor_kwargs: options as for a call of the processor.
            sanitize_control_tokens: allowed; it is always done.
            kwargs: variables of the template; any other name is taken as an option of the processor.
        """
        del sanitize_control_tokens
        template = ChatTemplate.of(self.chat_template, chat_template, self.tokenizer)
        variables = {name: value for name, value in kwargs.items() if template.mentions(name)}
        given = {**(processor_kwargs or {}), **{name: kwargs[name] for name in kwargs.keys() - variables.keys()}}
        if load_audio_from_video:
            given["load_audio_from_video"] = True
        if return_tensors not in (None, "auto"):
            given["return_tensors"] = return_tensors
        options = self._options(given)
        if return_assistant_tokens_mask and not (tokenize and return_dict):
            raise InputError("return_assistant_tokens_mask needs tokenize=True and return_dict=True")
        if given and not tokenize and given.keys() != {"return_tensors"}:
            raise InputError(f"apply_chat_template: {', '.join(sorted(given))} has no effect without tokenize=True")
        conversations, single = conversations_of(conversation)
        rendered = [
            template.render(
                one,
                tools=tools,
                documents=documents,
                add_generation_prompt=add_generation_prompt,
                continue_final_message=continue_final_message,
                find_spoken=return_assistant_tokens_mask,
                placeholders=not tokenize,
                variables=variables,
            )
            for one in conversations
        ]
        if not tokenize:
            return rendered[0].text if single else [one.text for one in rendered]
        batch = self._batch(rendered, *_media(conversations), options, masks=return_assistant_tokens_mask)
        return batch if return_dict else batch["input_ids"]

    def encode(self, conversations: Sequence[Conversation], *, add_generation_prompt: bool = True) -> BatchFeature:
        """Return the batch of conversations whose media are at hand, as tensors, padded at the right."""
        options = self._options({"padding_side": "right", "return_tensors": "pt"})
        template = ChatTemplate.of(self.chat_template, None, self.tokenizer)
        rendered = [template.render(one, add_generation_prompt=add_generation_prompt) for one in conversations]
        return self._batch(rendered, *_media(conversations), options)

    def without_pixels(self, conversation: Conversation) -> list[dict[str, Any]]:
        """Return the conversation with its media as `DecodedImage` and `DecodedVideo`."""

        def seen(part: Mapping[str, Any]) -> dict[str, Any]:
            if part["type"] == "image" and not isinstance(part["image"], DecodedImage):
                return {
                    "type": "image",
                    "image": DecodedImage(self.image_processor.tile_count(as_image(part["image"]))),
                }
            if part["type"] == "video" and not isinstance(part["video"], DecodedVideo):
                return {"type": "video", "video": part["video"].without_pixels()}
            return dict(part)

        return [{**message, "content": [seen(part) for part in parts_of(message)]} for message in conversation]

    def tokens(self, conversation: Conversation, *, add_generation_prompt: bool = True) -> PromptTokens:
        """Return the tokens of a conversation, with every frame and before the cubes are merged."""
        expanded, _ = self._written(conversation, add_generation_prompt=add_generation_prompt)
        return tokenize_prompt(expanded.text, self.tokenizer)

    def learning_tokens(self, conversation: Conversation) -> tuple[PromptTokens, list[bool]]:
        """Return a whole conversation's tokens, and which of them the assistant says: what training learns from.

        The chat template marks them by `{% generation %}`; the end token belongs to them.
        """
        expanded, rendered = self._written(conversation, find_spoken=True)
        learned = loss_mask(expanded.text, expanded.moved(rendered.spoken), self.tokenizer)
        return tokenize_prompt(expanded.text, self.tokenizer), learned

    def prompt(self, conversation: Conversation, *, add_generation_prompt: bool = True) -> str:
        """Return the prompt as text, with every frame and before the cubes are merged."""
        expanded, _ = self._written(conversation, add_generation_prompt=add_generation_prompt)
        return unescape(expanded.text)

    def replace_image_token(  # type: ignore[override]
        self, image_inputs: Mapping[str, Any], image_idx: int
    ) -> str:
        """Return the markup of an image; `image_inputs` is the image processor's output."""
        return image_markup(int(image_inputs["tile_counts"][image_idx]))

    def replace_video_token(  # type: ignore[override]
        self, video_inputs: Mapping[str, Any], video_idx: int
    ) -> str:
        """Return the markup of a video; `video_inputs` is the video processor's output, and `timestamps_s` if known."""
        times = video_inputs.get("timestamps_s")
        frames = int(video_inputs["frame_counts"][video_idx])
        return video_markup(frames, None if times is None else times[video_idx], thumbnail=self.thumbnail)

    def decode_reply(self, token_ids: Sequence[int]) -> str:
        """Return generated tokens as text: without padding, the closing end token and outer white space."""
        ids = list(token_ids)
        eos = self.tokenizer.eos_token_id
        if eos in ids:
            ids = ids[: ids.index(eos)]
        return self.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False).strip()

    def _options(self, given: Mapping[str, Any]) -> CallOptions:
        return call_options(given, self.tokenizer.init_kwargs, type(self).__name__)

    def _written(self, conversation: Conversation, **rendering: Any) -> tuple[ExpandedPrompt, RenderedChat]:
        """Return a conversation as text with the markup of its media, and as the template rendered it."""
        seen = self.without_pixels(conversation)
        rendered = ChatTemplate.of(self.chat_template, None, self.tokenizer).render(seen, **rendering)
        images = (image_markup(image.tiles) for image in media_of(seen, "image"))
        videos = (
            video_markup(video.frames, video.timestamps_s, thumbnail=self.thumbnail)
            for video in media_of(seen, "video")
        )
        return expand(rendered.text, {"image": images, "video": videos}), rendered

    def _batch(
        self,
        rendered: Sequence[RenderedChat],
        pictures: Sequence[Any],
        clips: Sequence[Any],
        options: CallOptions,
        *,
        masks: bool = False,
    ) -> BatchFeature:
        """Process the media, write their markup into the rendered texts, and tokenise them."""
        check_marks([one.text for one in rendered], "image", len(pictures))
        check_marks([one.text for one in rendered], "video", len(clips))
        data: dict[str, Any] = {}
        markups: dict[str, Any] = {"image": iter(()), "video": iter(())}
        if pictures:
            tiles = self.image_processor(list(pictures), **options.images)
            markups["image"] = (self.replace_image_token(tiles, index) for index in range(len(pictures)))
            data |= tiles
        if clips:
            videos = self.video_processor.read(list(clips), **_without(options.videos, "return_tensors"))
            sizes = {name: options.videos[name] for name in ("frame_size", "return_tensors") if name in options.videos}
            frames = self.video_processor(videos, **sizes)
            timed = {**frames, "timestamps_s": [video.timestamps_s for video in videos]}
            markups["video"] = (self.replace_video_token(timed, index) for index in range(len(videos)))
            data |= frames
        expanded = [expand(one.text, markups) for one in rendered]
        rows, frame = [], 0
        for one, text in zip(rendered, expanded, strict=True):
            rows.append(self._row(text, one.spoken if masks else None, options.text, frame))
            frame = max([frame, *(number + 1 for number in rows[-1]["frame_ids"])])
        row_options = RowOptions.of_options(options.text, self.tokenizer)
        data = {**batch_rows(rows, row_options, self.tokenizer.pad_token_id or 0), **data}
        if options.text.get("return_text_replacement_offsets"):
            data["text_replacement_offsets"] = [[one.offsets() for one in text.replacements] for text in expanded]
        tensors = options.text.get("return_tensors")
        return BatchFeature(data, tensor_type=tensors, skip_tensor_conversion=self.skip_tensor_conversion)

    def _row(
        self, expanded: ExpandedPrompt, spoken: Sequence[tuple[int, int]] | None, options: Mapping[str, Any], frame: int
    ) -> Row:
        """Tokenise one text, whose frames are counted from `frame`."""
        add_bos = options.get("add_special_tokens") is not False
        tokens = tokenize_prompt(expanded.text, self.tokenizer, add_bos=add_bos)
        row: Row = {"input_ids": tokens.input_ids}
        if options.get("return_attention_mask") is not False:
            row["attention_mask"] = [1] * len(tokens.input_ids)
        row["visual_kind"] = list(map(int, tokens.visual_kind))
        row["frame_ids"] = [number + frame if number >= 0 else -1 for number in tokens.frame_ids]
        if options.get("return_mm_token_type_ids"):
            placeholder: Any = self.image_token_id
            row["mm_token_type_ids"] = tokens.media_types(placeholder)
        if spoken is not None:
            spans = expanded.moved(spoken)
            learned = loss_mask(expanded.text, spans, self.tokenizer, add_bos=add_bos)
            row["assistant_masks"] = list(map(int, learned))
        return row


def _media(conversations: Sequence[Conversation]) -> tuple[list[Any], list[VideoSource]]:
    """Return the images and the videos of conversations, in order."""
    parts = [part for one in conversations for message in one for part in parts_of(message)]
    images = [part["image"] for part in parts if part["type"] == "image"]
    return images, [VideoSource.of_part(part) for part in parts if part["type"] == "video"]


def _without(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in options.items() if key != name}
