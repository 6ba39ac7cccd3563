"""Reading speed and answers of a naive pipeline, written as the reference works, against OpenCV and our answers.

    python benchmarks/naive_pipeline.py [--videos 12]

For each question, OpenCV decodes every frame up to the last selected one; the selected frames are stacked at full size,
resized by Pillow and encoded in one call; gate, thumbnail and cubes are computed from whole feature maps, with one call
of the resampler per cube (the tests' naive.py); Python walks over the tokens to merge the placeholders; nothing is
reused. Slowness of the reference that is not its design is avoided: SDPA in the resampler, one position table, frame
indices in a set. `lean` resizes every frame when it is decoded. The reference decodes ahead in four processes, which
changes its wall time but not its CPU time.
"""

import argparse
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from PIL import Image
from transformers import GenerationConfig

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks"), str(ROOT / "tests" / "model_adapters" / "quicksviewer")]

import naive  # noqa: E402 - found through the line above
from videos import videos  # noqa: E402

from qsv_eval.model_adapters.frames import FrameRule, read_video  # noqa: E402
from qsv_eval.model_adapters.quicksviewer import Quicksviewer, load_pretrained  # noqa: E402
from qsv_eval.model_adapters.quicksviewer.messages import DecodedVideo  # noqa: E402

CHECKPOINT = ROOT / "tests" / "data" / "reference" / "qwen2"
RULE = FrameRule(fps=1, max_frames=420, name="reference")
MAX_NEW_TOKENS = 16
SAFE_GAP = 1e-3
"""Distance of the two best logits above which float32 noise cannot change a greedy token."""


def questions_on(video: int) -> list[str]:
    """Return three questions on a video, in Video-MME's format."""
    questions = ("What is shown first?", "How many scenes are there?", "What does the last scene show?")
    return [
        f"Video {video}. {question}\nOptions:\nA. one\nB. two\nC. three\nD. none of them\nAnswer with the letter only."
        for question in questions
    ]


class StageTimes(NamedTuple):
    """Seconds of one question."""

    decode: float
    """Decoding, conversion to RGB, resizing and normalising."""
    vit: float
    perception: float
    """Gate, thumbnail, resampler and merging."""
    llm: float


class NaiveReply(NamedTuple):
    """A reply, with its cubes, times and smallest distance of logits."""

    text: str
    token_ids: list[int]
    smallest_gap: float
    """Smallest distance between the two best logits over all steps."""
    cubes: list[tuple[int, int]]
    seconds: StageTimes


class NaivePipeline:
    """Pipeline that answers one question at a time."""

    def __init__(self, model: Quicksviewer, *, lean: bool = False) -> None:
        self.model, self.processor = model.model, model.processor
        self.perception = self.model.model.perception
        self.side = self.processor.video_processor.frame_size
        self.lean = lean
        self.table = naive.table_of(self.perception, 300)

    @torch.inference_mode()
    def answer(self, path: Path, question: str) -> NaiveReply:
        """Answer a question on a video file."""
        marks = [time.perf_counter()]
        pixels_TCHW, timestamps_s = self.pixels(path)
        marks.append(time.perf_counter())
        feats_TNd = self.perception.encode(pixels_TCHW)
        marks.append(time.perf_counter())
        del pixels_TCHW
        embeds_1MD, cubes = self.embed(feats_TNd, timestamps_s, question)
        marks.append(time.perf_counter())
        del feats_TNd
        ids, gap = self.generate(embeds_1MD)
        marks.append(time.perf_counter())
        return NaiveReply(
            self.processor.decode_reply(ids), ids, gap, cubes, StageTimes(*(b - a for a, b in pairwise(marks)))
        )

    def pixels(self, path: Path) -> tuple[torch.Tensor, list[float]]:
        """Return normalised float32 frames (T, 3, S, S) and their times."""
        if self.lean:
            small, timestamps_s = read_opencv(path, self.resize)
        else:
            frames, timestamps_s = read_opencv(path)
            frames_THWC = np.stack(frames)
            del frames
            small = [self.resize(frame_HWC) for frame_HWC in frames_THWC]
            del frames_THWC
        return torch.stack([self.normalise(frame_HWC) for frame_HWC in small]), timestamps_s

    def resize(self, frame_HWC: np.ndarray) -> np.ndarray:
        """Resize a frame to the tower's square input."""
        image = Image.fromarray(frame_HWC)
        return np.array(image.resize((self.side, self.side), Image.Resampling.BICUBIC))

    def normalise(self, frame_HWC: np.ndarray) -> torch.Tensor:
        """Return a frame as the tower's input, float32 (3, S, S) in [-1, 1]."""
        return torch.from_numpy(frame_HWC).permute(2, 0, 1).contiguous().float().div_(255).sub_(0.5).div_(0.5)

    def embed(
        self, feats_TNd: torch.Tensor, timestamps_s: list[float], question: str
    ) -> tuple[torch.Tensor, list[tuple[int, int]]]:
        """Return the embeddings of the merged prompt, (1, M, D), and the cubes."""
        frames = len(feats_TNd)
        if frames > len(self.table):
            self.table = naive.table_of(self.perception, frames)
        _, starts, small_1QD, cubes_CQD = naive.perceive(self.perception, feats_TNd, table=self.table)
        cubes = list(pairwise([*starts, frames]))
        blocks = [*([] if small_1QD is None else [small_1QD]), *cubes_CQD]
        ids_1L = self.tokens(frames, timestamps_s, question)
        bounds = [(0, 1), *((start + 1, end + 1) for start, end in cubes)] if small_1QD is not None else cubes
        merged_M = merge_placeholders(ids_1L, bounds, self.processor.image_token_id)
        return self.splice(merged_M, blocks), cubes

    def tokens(self, frames: int, timestamps_s: list[float], question: str) -> torch.Tensor:
        """Return the prompt's ids with every frame in it, (1, L)."""
        video = DecodedVideo(frames, timestamps_s)
        content = [{"type": "video", "video": video}, {"type": "text", "text": question}]
        return torch.tensor([self.processor.tokens([{"role": "user", "content": content}]).input_ids])

    def splice(self, merged_M: torch.Tensor, blocks: list[torch.Tensor]) -> torch.Tensor:
        """Embed the text, and replace the placeholders by the blocks."""
        positions = torch.where(merged_M == self.processor.image_token_id)[0].tolist()
        assert len(positions) == len(blocks), (len(positions), len(blocks))
        embed = self.model.get_input_embeddings()
        pieces = []
        for block, (start, end) in zip([None, *blocks], pairwise([-1, *positions, len(merged_M)]), strict=True):
            pieces += [] if block is None else [block.flatten(0, -2)]
            pieces.append(embed(merged_M[start + 1 : end]))
        return torch.cat(pieces).unsqueeze(0)

    def generate(self, embeds_1MD: torch.Tensor) -> tuple[list[int], float]:
        """Return the greedy token ids, end token included, and the smallest distance of the two best logits."""
        tokenizer = self.processor.tokenizer
        output: Any = self.model.generate(
            inputs_embeds=embeds_1MD,
            attention_mask=torch.ones(embeds_1MD.shape[:2], dtype=torch.long),
            generation_config=GenerationConfig(
                max_new_tokens=MAX_NEW_TOKENS,
                do_sample=False,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
                output_logits=True,
                return_dict_in_generate=True,
            ),
        )
        best_S2 = torch.cat(output.logits).topk(2).values
        return output.sequences[0].tolist(), (best_S2[:, 0] - best_S2[:, 1]).min().item()


def read_opencv(path: Path, each: Any = None) -> tuple[list[np.ndarray], list[float]]:
    """Decode every frame up to the last selected one; return the selected ones as RGB, and their times to 0.1 s."""
    capture = cv2.VideoCapture(str(path))
    fps, count = capture.get(cv2.CAP_PROP_FPS), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    indices = RULE.indices(fps, count)
    wanted = set(indices)
    capture.set(cv2.CAP_PROP_POS_FRAMES, float(indices[0]))
    frames, timestamps_s, index = [], [], indices[0]
    ok, frame_HWC = capture.read()
    while ok and index <= indices[-1]:
        if index in wanted:
            frame_HWC = cv2.cvtColor(frame_HWC, cv2.COLOR_BGR2RGB)
            frames.append(frame_HWC if each is None else each(frame_HWC))
            timestamps_s.append(round(index / fps, 1))
        ok, frame_HWC = capture.read()
        index += 1
    capture.release()
    return frames, timestamps_s


def merge_placeholders(ids_1L: torch.Tensor, bounds: list[tuple[int, int]], placeholder: int) -> torch.Tensor:
    """Keep, for each cube, the text before its first placeholder, and that placeholder."""
    kept: list[torch.Tensor] = []
    frame, i = 0, 0
    while i < ids_1L.size(1) and ids_1L[0, i] != placeholder:
        kept.append(ids_1L[0, i])
        i += 1
    for start, end in bounds:
        placed = False
        while frame < end and i < ids_1L.size(1):
            is_placeholder = bool(ids_1L[0, i] == placeholder)
            if (is_placeholder and not placed) or (not is_placeholder and frame <= start):
                kept.append(ids_1L[0, i])
                placed = placed or is_placeholder
            if is_placeholder:
                frame += 1
            i += 1
    while i < ids_1L.size(1):
        kept.append(ids_1L[0, i])
        i += 1
    return torch.stack(kept)


def read_plainly(path: Path) -> int:
    """Decode a video with OpenCV, and return the number of frames."""
    capture, frames = cv2.VideoCapture(str(path)), 0
    while capture.read()[0]:
        frames += 1
    return frames


def compare_reading(path: Path, runs: int = 3) -> tuple[float, float]:
    """Return the frames per second of OpenCV alone and of the naive reader, measured in turns."""
    plain, naive_reader = [], []
    for _ in range(runs):
        started = time.perf_counter()
        frames = read_plainly(path)
        plain.append(frames / (time.perf_counter() - started))
        started = time.perf_counter()
        kept, timestamps_s = read_opencv(path)
        np.stack(kept)
        naive_reader.append(round(timestamps_s[-1] * 30) / (time.perf_counter() - started))
    return statistics.median(plain), statistics.median(naive_reader)


def same_frames(pipeline: NaivePipeline, path: Path) -> tuple[int, int]:
    """Return how many frames equal ours byte for byte, and how many there are."""
    small, _ = read_opencv(path, pipeline.resize)
    clip = read_video(path, RULE, (pipeline.side, pipeline.side))
    same = sum(np.array_equal(theirs, ours) for theirs, ours in zip(small, clip.frames, strict=False))
    return same, max(len(small), len(clip.frames))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=12, help="number of videos, up to 12 (default: 12)")
    model = load_pretrained(CHECKPOINT, device="cpu", dtype="float32", frame_rule=RULE)
    pipeline = NaivePipeline(model)
    print("| video | plain OpenCV frames/s | naive frames/s | ratio | frames equal to ours | answer | smallest gap |")
    print("|--|--:|--:|--:|--:|--|--:|")
    for index, path in enumerate(videos(parser.parse_args().videos)):
        plain_fps, naive_fps = compare_reading(path)
        same, frames = same_frames(pipeline, path)
        question = questions_on(index)[0]
        reply = pipeline.answer(path, question)
        content = [{"type": "video", "video": str(path)}, {"type": "text", "text": question}]
        ours = model.chat([{"role": "user", "content": content}], max_new_tokens=MAX_NEW_TOKENS)
        answer = "equal" if ours.token_ids == reply.token_ids else "differs"
        if [(cube.start_frame, cube.end_frame) for cube in ours.cubes[0]] != reply.cubes:
            answer += ", other cubes"
        print(
            f"| {path.stem} | {plain_fps:.0f} | {naive_fps:.0f} | {naive_fps / plain_fps:.2f} "
            f"| {same} of {frames} | {answer} | {reply.smallest_gap:.4f} |",
            flush=True,
        )
        print({k: round(v, 2) for k, v in reply.seconds._asdict().items()}, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
