"""A video that hangs or crashes its decoder costs one sample, also in a DataLoader's workers."""

import json

import pytest
from torch.utils.data import DataLoader

from qsv_eval.model_adapters.frames import FrameRule, read_video, subprocess_reader
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint
from qsv_eval.training.data import media
from qsv_eval.training.data.batches import SampleDraw
from qsv_eval.training.data.cost import Sizing
from qsv_eval.training.data.media import MediaReader
from qsv_eval.training.data.mixture import open_mixture
from qsv_eval.training.data.samples import TrainingSamples

# A real worker, except that it hangs or crashes on files with these names.
WORKER = """
import os, signal
from pathlib import Path
from qsv_eval.model_adapters.frames import subprocess_worker

run_read_job = subprocess_worker.run_read_job

def read(job, *rest):
    if "hang" in Path(job.path).name:
        os.kill(os.getpid(), signal.SIGSTOP)
    if "crash" in Path(job.path).name:
        os.kill(os.getpid(), signal.SIGSEGV)
    return run_read_job(job, *rest)

subprocess_worker.run_read_job = read
subprocess_worker.main()
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_a_video_that_hangs_or_crashes_is_a_skipped_sample(start, clips, tmp_path, monkeypatch, workers):
    (tmp_path / "faulty_worker.py").write_text(WORKER)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(subprocess_reader, "_WORKER", "faulty_worker")
    monkeypatch.setattr(media, "_TIMEOUT_S", 5.0)
    media._reader.cache_clear()  # other tests' workers are not faulty
    conversation = [{"from": "human", "value": "?"}, {"from": "gpt", "value": "red"}]
    names = ["a.mp4", "hang.mp4", "b.mp4", "crash.mp4", "none.mp4", "c.mp4"]
    for name in names:
        if name != "none.mp4":
            (tmp_path / name).symlink_to(clips[0])
    lines = [json.dumps({"video": name, "conversations": conversation}) for name in names]
    (tmp_path / "data.jsonl").write_text("\n".join(lines))
    model, processor = load_checkpoint(start, dtype="float32")
    rule, side = FrameRule(max_frames=3), processor.video_processor.frame_size
    mixture = open_mixture(str(tmp_path / "data.jsonl"), MediaReader(rule, side))
    samples = TrainingSamples(mixture, processor, Sizing.of(model.config, rule), 4096, seed=0)
    draws = [[SampleDraw(i, i)] for i in range(len(names))]
    loaded = [sample for [sample] in DataLoader(samples, batch_sampler=draws, collate_fn=list, num_workers=workers)]
    media._reader.cache_clear()
    reasons = [getattr(sample, "reason", None) for sample in loaded]
    assert [reason is None for reason in reasons] == [True, False, True, False, False, True]
    for i, message in ((1, "its reader hung"), (3, "its reader died"), (4, "missing")):
        assert f"data.jsonl, line {i + 1}: " in reasons[i]
        assert message in reasons[i]


def test_frames_equal_those_of_evaluation(clips):
    rule = FrameRule(max_frames=5)
    read, plain = MediaReader(rule, 48).video(clips[0], 2.0, 9.0), read_video(clips[0], rule, (48, 48), 2.0, 9.0)
    assert (read.frames_THWC == plain.frames).all()
    assert read.timestamps_s == plain.timestamps_s
    assert (read.end_s, read.lost_frames) == (plain.duration_s, plain.shortfall)
