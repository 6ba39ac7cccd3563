"""Conversion of rows of image benchmarks to samples; the columns are those that lmms-eval reads."""

import ast
from collections.abc import Sequence

from qsv_eval.data.letters import LETTERS, split_options
from qsv_eval.data.sample import Sample
from qsv_eval.tasks.images.source import Row

__all__ = [
    *("ai2d", "chartqa", "docvqa", "gqa", "mantis", "mmbench", "mme", "mmmu", "mmstar", "muirbench", "pope"),
    *("realworldqa", "scienceqa", "seedbench", "textvqa"),
]

_IMAGE = ("image",)


def mme(index: int, row: Row) -> Sample:
    """Convert an MME row; `question_id` names the image, which two rows share."""
    image = f"{row['category']}/{row['question_id']}"
    return Sample(
        id=f"{image}#{index}",
        images=_IMAGE,
        question=row["question"].removesuffix(" Please answer yes or no."),
        answer=row["answer"].strip().casefold(),
        cluster=image,
        groups={"category": row["category"]},
    )


def mmbench(index: int, row: Row) -> Sample:
    """Convert an MMBench row; rows with another order of the options have an `index` larger by millions."""
    options = [row[letter] for letter in "ABCDE" if row.get(letter) not in (None, "nan", "")]
    question_index = int(row["index"]) % 1_000_000
    return Sample(
        id=str(row["index"]),
        images=_IMAGE,
        question=row["question"],
        options=tuple(options),
        answer=row["answer"] or "",
        cluster=str(question_index),
        groups={"ability": row.get("L2-category") or row.get("l2-category") or "", "category": row["category"]},
        notes={"circle": str(question_index), "hint": "" if row.get("hint") in (None, "nan") else row["hint"]},
    )


def seedbench(index: int, row: Row) -> Sample | None:
    """Convert a SEED-Bench row; rows on videos are skipped."""
    if row.get("data_type", "image") != "image":
        return None
    return Sample(
        id=str(row["question_id"]),
        images=_IMAGE,
        question=row["question"],
        options=tuple(row[f"choice_{letter}"] for letter in "abcd"),
        answer=row["answer"],
        cluster=str(row.get("data_id") or row["question_id"]),
        groups={"type": str(row["question_type_id"])},
    )


def pope(index: int, row: Row) -> Sample:
    """Convert a POPE row; `question_id` is unique only within a subset."""
    return Sample(
        id=f"{row['category']}-{row['question_id']}",
        images=_IMAGE,
        question=row["question"],
        answer=row["answer"].strip().casefold(),
        cluster=str(row.get("image_source") or row["question_id"]),
        groups={"subset": row["category"]},
    )


def scienceqa(index: int, row: Row) -> Sample:
    """Convert a ScienceQA row; the answer is the index of a choice."""
    return Sample(
        id=str(row.get("question_id") or index),
        images=_IMAGE,
        question=row["question"],
        options=tuple(row["choices"]),
        answer=LETTERS[int(row["answer"])],
        groups={"subject": row.get("subject") or ""},
        notes={"hint": row.get("hint") or ""},
    )


def gqa(index: int, row: Row) -> Sample:
    """Convert a GQA row; many questions share an image."""
    return Sample(
        id=str(row["id"]), images=_IMAGE, question=row["question"], answer=row["answer"], cluster=str(row["imageId"])
    )


def textvqa(index: int, row: Row) -> Sample:
    """Convert a TextVQA row; it has the answers of ten people."""
    question = row["question"][:1].upper() + row["question"][1:]
    return Sample(
        id=str(row["question_id"]),
        images=_IMAGE,
        question=question,
        answers=tuple(row["answers"]),
        cluster=str(row.get("image_id") or row["question_id"]),
    )


def ai2d(index: int, row: Row) -> Sample:
    """Convert an AI2D row; the answer is the index of an option, as text."""
    return Sample(
        id=str(row.get("question_id") or index),
        images=_IMAGE,
        question=row["question"],
        options=tuple(row["options"]),
        answer=LETTERS[int(row["answer"])],
    )


def chartqa(index: int, row: Row) -> Sample:
    """Convert a ChartQA row; its type is human or augmented."""
    return Sample(
        id=str(row.get("question_id") or index),
        images=_IMAGE,
        question=row["question"],
        answer=row["answer"],
        groups={"type": row["type"].removesuffix("_test")},
    )


def docvqa(index: int, row: Row) -> Sample:
    """Convert a DocVQA row; each of its answers is accepted."""
    return Sample(
        id=str(row["questionId"]),
        images=_IMAGE,
        question=row["question"],
        answers=tuple(row["answers"] or ()),
        cluster=str(row.get("docId") or row["questionId"]),
    )


def mmmu(index: int, row: Row) -> Sample:
    """Convert an MMMU row; lists are Python literals, and the text names the images (`<image 1>`)."""
    options = _list(row["options"])
    answers = _list(row["answer"])
    texts = [row["question"], *options]
    used = [f"image_{number}" for number in range(1, 8) if any(f"<image {number}>" in text for text in texts)]
    subject = row["id"].removeprefix("validation_").rpartition("_")[0]
    return Sample(
        id=row["id"],
        images=tuple(used or ["image_1"]),
        question=row["question"],
        options=tuple(options),
        answer=row["answer"] if options else "",
        answers=() if options else tuple(answers),
        groups={"subject": subject},
    )


def mmstar(index: int, row: Row) -> Sample:
    """Convert an MMStar row; the options stay in the question (`A: …, B: …`)."""
    return Sample(
        id=str(row["index"]),
        images=_IMAGE,
        question=row["question"],
        answer=row["answer"],
        groups={"category": row["category"], "ability": row["l2_category"]},
    )


def realworldqa(index: int, row: Row) -> Sample:
    """Convert a RealWorldQA row; question, options and instruction are one text."""
    body, _, instruction = row["question"].rpartition("\n")
    split = split_options(body)
    return Sample(
        id=str(index),
        images=_IMAGE,
        question=split.question if split.options else row["question"],
        options=split.options,
        answer=row["answer"],
        notes={"instruction": instruction} if split.options else {},
    )


def muirbench(index: int, row: Row) -> Sample:
    """Convert a MuirBench row; it has several images."""
    return Sample(
        id=str(row["idx"]),
        images=("image_list",),
        question=row["question"],
        options=tuple(row["options"]),
        answer=row["answer"],
        groups={"task": row["task"], "relation": row["image_relation"]},
    )


def mantis(index: int, row: Row) -> Sample:
    """Convert a Mantis-Eval row; it has several images, and some rows have no options."""
    options = tuple(row["options"] or ())
    plain = split_options("\n".join(options)).options
    return Sample(
        id=str(row.get("id") or index),
        images=("images",),
        question=row["question"],
        options=plain if len(plain) == len(options) else options,
        answer=row["answer"],
        groups={"type": row["question_type"]},
    )


def _list(text: str) -> Sequence[str]:
    """Return the items of a Python list literal, or the text itself as the only item."""
    try:
        items = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return [text]
    return [str(item) for item in items] if isinstance(items, list) else [text]
