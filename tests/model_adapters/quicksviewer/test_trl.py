"""TRL's SFTTrainer trains the model on images as it does any vision-language model of the library."""

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import qsv_eval.model_adapters.quicksviewer  # noqa: F401 - registers the classes

trl = pytest.importorskip("trl")


def test_supervised_fine_tuning(tiny, tmp_path):
    from datasets import Dataset

    model = AutoModelForImageTextToText.from_pretrained(tiny, dtype="float32")
    before = {name: value.clone() for name, value in model.named_parameters()}
    rng = np.random.default_rng(0)
    rows = [
        {
            "images": [Image.fromarray(rng.integers(0, 256, (64, 80, 3)).astype(np.uint8))],
            "messages": [{"role": "user", "content": "What colour?"}, {"role": "assistant", "content": colour}],
        }
        for colour in ("red", "green", "blue", "grey")
    ]
    options = trl.SFTConfig(
        output_dir=str(tmp_path),
        per_device_train_batch_size=2,
        max_steps=3,
        learning_rate=3e-3,
        logging_steps=1,
        assistant_only_loss=True,
        max_length=None,
        report_to=[],
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_strategy="no",
    )
    trainer = trl.SFTTrainer(
        model=model,
        args=options,
        train_dataset=Dataset.from_list(rows),
        processing_class=AutoProcessor.from_pretrained(tiny),
    )
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0]
    moved = {name for name, value in model.named_parameters() if not torch.equal(value, before[name])}
    assert {"model.perception.resampler.query", "model.perception.resampler.kv_proj.weight", "lm_head.weight"} <= moved
