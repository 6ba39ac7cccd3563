import re
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from huggingface_hub import ModelCard
from huggingface_hub.errors import RemoteEntryNotFoundError
from peft import LoraConfig
from transformers.utils import hub

from qsv_eval.model_adapters.quicksviewer import QuicksviewerForConditionalGeneration, QuicksviewerModel, model_card
from qsv_eval.model_adapters.quicksviewer.checkpoint import load_checkpoint


@pytest.fixture
def saved(tiny, tmp_path) -> Path:
    loaded = load_checkpoint(tiny, dtype="float32")
    loaded.model.save_pretrained(tmp_path / "saved")
    loaded.processor.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_the_code_in_the_card_runs(saved, clips, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (saved / "README.md").read_text(), re.DOTALL)
    assert len(blocks) == 2
    here = {"CHECKPOINT": str(saved), "clip.mp4": str(clips[0]), "cuda": "cpu", "bfloat16": "float32"}
    names: dict = {}
    for block in blocks:
        for said, meant in here.items():
            block = block.replace(f'"{said}"', repr(meant))
        exec(block, names)
    assert capsys.readouterr().out.endswith("\n")
    assert type(names["model"]) is QuicksviewerForConditionalGeneration


def test_header_and_text(saved, tmp_path):
    card = ModelCard.load(saved / "README.md")
    assert card.data.to_dict() == {
        "library_name": "transformers",
        "pipeline_tag": "video-text-to-text",
        "tags": ["quicksviewer", "qsv-eval"],
    }
    assert str(tmp_path) not in card.content
    assert "trust_remote_code" in card.text
    assert "\n\n\n" not in card.text


def test_base_model(tiny, tmp_path):
    QuicksviewerModel.from_pretrained(tiny).save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "AutoModel.from_pretrained" in card
    assert "load_pretrained" not in card


def test_adapter(tiny, tmp_path):
    model = load_checkpoint(tiny, dtype="float32").model
    model.add_adapter(LoraConfig(target_modules=["q_proj"]))
    model.save_pretrained(tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "An adapter (PEFT)" in card
    assert "AutoModel" not in card


def test_a_card_that_exists_stays(tiny, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    load_checkpoint(tiny, dtype="float32").model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_other_processes_write_none(tiny, tmp_path):
    load_checkpoint(tiny, dtype="float32").model.save_pretrained(tmp_path, is_main_process=False)
    assert not (tmp_path / "README.md").exists()


class Hub:
    """A repository without a network: it takes commits and knows the card that it was given."""

    def __init__(self, card: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.card = card
        monkeypatch.setattr(hub, "hf_api", lambda: self)
        monkeypatch.setattr("transformers.modeling_utils.hf_api", lambda: self)
        monkeypatch.setattr(model_card, "file_exists", lambda *_, **__: self.card is not None)
        monkeypatch.setattr(ModelCard, "load", self.load)

    def create_repo(self, repo_id: str, **_: object) -> SimpleNamespace:
        return SimpleNamespace(repo_id=repo_id)

    def load(self, *_: object, **__: object) -> ModelCard:
        if self.card is None:
            raise RemoteEntryNotFoundError(
                "none", response=httpx.Response(404, request=httpx.Request("GET", "http://h"))
            )
        return ModelCard(self.card)

    def create_commit(self, operations: list, **_: object) -> None:
        (card,) = (one for one in operations if one.path_in_repo == "README.md")
        self.card = Path(card.path_or_fileobj).read_text()


@pytest.mark.parametrize("by_saving", [False, True])
def test_uploads_carry_the_card(tiny, tmp_path, monkeypatch, by_saving):
    remote = Hub(None, monkeypatch)
    model = load_checkpoint(tiny, dtype="float32").model
    if by_saving:
        model.save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id="me/quicksviewer")
        assert (tmp_path / "saved" / "README.md").read_text() == remote.card
    else:
        model.push_to_hub("me/quicksviewer")
    assert remote.card == str(model_card.model_card(model))


def test_uploads_keep_the_card_of_the_repository(tiny, tmp_path, monkeypatch):
    remote = Hub("---\ntags: [mine]\n---\ntext", monkeypatch)
    model = load_checkpoint(tiny, dtype="float32").model
    (tmp_path / "README.md").write_text("local")
    model.save_pretrained(tmp_path, push_to_hub=True, repo_id="me/quicksviewer")
    assert ModelCard(remote.card).data.tags == ["mine"]
    assert (tmp_path / "README.md").read_text() == "local"
