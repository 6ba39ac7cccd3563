"""Converters from rows of image benchmarks to samples; the columns are those that lmms-eval reads."""

import ast
from collections.abc import Sequence

from qsv_eval.data.letters import LETTERS, split_options
from qsv_eval.data.sample import Sample
from qsv_eval.tasks.images.source import Row

__all__ = [
    *("ai2d", "chartqa", "docvqa", "gqa", "mantis", "mmbench", "mme", "mmmu", "mmstar", "muirbench", "pope"),
    *("realworldqa", "scienceqa", "seedbench", "textvqa"),
]

_ONE = ("image",)


def mme(number: int, row: Row) -> Sample:
    """Two rows share a `question_id`, which is the image."""
    image = f"{row['category']}/{row['question_id']}"
    return Sample(
        id=f"{image}#{number}",
        images=_ONE,
        question=row["question"].removesuffix(" Please answer yes or no."),
        answer=row["answer"].strip().casefold(),
        cluster=image,
        groups={"category": row["category"]},
    )


def mmbench(number: int, row: Row) -> Sample:
    """Take the orders of a question's options for rows whose `index` differs by millions."""
    options = [row[letter] for letter in "ABCDE" if row.get(letter) not in (None, "nan", "")]
    first = int(row["index"]) % 1_000_000
    return Sample(
        id=str(row["index"]),
        images=_ONE,
        question=row["question"],
        options=tuple(options),
        answer=row["answer"] or "",
        cluster=str(first),
        groups={"ability": row.get("L2-category") or row.get("l2-category") or "", "category": row["category"]},
        notes={"circle": str(first), "hint": "" if row.get("hint") in (None, "nan") else row["hint"]},
    )


def seedbench(number: int, row: Row) -> Sample | None:
    """Convert a row with images; SEED-Bench's videos are left out."""
    if row.get("data_type", "image") != "image":
        return None
    return Sample(
        id=str(row["question_id"]),
        images=_ONE,
        question=row["question"],
        options=tuple(row[f"choice_{letter}"] for letter in "abcd"),
        answer=row["answer"],
        cluster=str(row.get("data_id") or row["question_id"]),
        groups={"type": str(row["question_type_id"])},
    )


def pope(number: int, row: Row) -> Sample:
    """Tell questions apart by subset and number."""
    return Sample(
        id=f"{row['category']}-{row['question_id']}",
        images=_ONE,
        question=row["question"],
        answer=row["answer"].strip().casefold(),
        cluster=str(row.get("image_source") or row["question_id"]),
        groups={"subset": row["category"]},
    )


def scienceqa(number: int, row: Row) -> Sample:
    """Read the answer as the number of a choice."""
    return Sample(
        id=str(row.get("question_id") or number),
        images=_ONE,
        question=row["question"],
        options=tuple(row["choices"]),
        answer=LETTERS[int(row["answer"])],
        groups={"subject": row.get("subject") or ""},
        notes={"hint": row.get("hint") or ""},
    )


def gqa(number: int, row: Row) -> Sample:
    """Many questions stand on one image."""
    return Sample(
        id=str(row["id"]), images=_ONE, question=row["question"], answer=row["answer"], cluster=str(row["imageId"])
    )


def textvqa(number: int, row: Row) -> Sample:
    """Ten people have answered."""
    question = row["question"][:1].upper() + row["question"][1:]
    return Sample(
        id=str(row["question_id"]),
        images=_ONE,
        question=question,
        answers=tuple(row["answers"]),
        cluster=str(row.get("image_id") or row["question_id"]),
    )


def ai2d(number: int, row: Row) -> Sample:
    """Read the answer as the number of an option, as a text."""
    return Sample(
        id=str(row.get("question_id") or number),
        images=_ONE,
        question=row["question"],
        options=tuple(row["options"]),
        answer=LETTERS[int(row["answer"])],
    )


def chartqa(number: int, row: Row) -> Sample:
    """Questions by people and by machine."""
    return Sample(
        id=str(row.get("question_id") or number),
        images=_ONE,
        question=row["question"],
        answer=row["answer"],
        groups={"type": row["type"].removesuffix("_test")},
    )


def docvqa(number: int, row: Row) -> Sample:
    """Any of the answers is right."""
    return Sample(
        id=str(row["questionId"]),
        images=_ONE,
        question=row["question"],
        answers=tuple(row["answers"] or ()),
        cluster=str(row.get("docId") or row["questionId"]),
    )


def mmmu(number: int, row: Row) -> Sample:
    """Options and several accepted answers are written as Python lists; the images that occur are named in the text."""
    options = _list(row["options"])
    answers = _list(row["answer"])
    texts = [row["question"], *options]
    used = [f"image_{place}" for place in range(1, 8) if any(f"<image {place}>" in text for text in texts)]
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


def mmstar(number: int, row: Row) -> Sample:
    """Leave the options in the question, where they stand: `A: …, B: …`."""
    return Sample(
        id=str(row["index"]),
        images=_ONE,
        question=row["question"],
        answer=row["answer"],
        groups={"category": row["category"], "ability": row["l2_category"]},
    )


def realworldqa(number: int, row: Row) -> Sample:
    """Question, options and instruction are one text."""
    body, _, instruction = row["question"].rpartition("\n")
    posed = split_options(body)
    return Sample(
        id=str(number),
        images=_ONE,
        question=posed.question if posed.options else row["question"],
        options=posed.options,
        answer=row["answer"],
        notes={"instruction": instruction} if posed.options else {},
    )


def muirbench(number: int, row: Row) -> Sample:
    """Several images."""
    return Sample(
        id=str(row["idx"]),
        images=("image_list",),
        question=row["question"],
        options=tuple(row["options"]),
        answer=row["answer"],
        groups={"task": row["task"], "relation": row["image_relation"]},
    )


def mantis(number: int, row: Row) -> Sample:
    """Several images; some questions have no options."""
    options = tuple(row["options"] or ())
    plain = split_options("\n".join(options)).options
    return Sample(
        id=str(row.get("id") or number),
        images=("images",),
        question=row["question"],
        options=plain if len(plain) == len(options) else options,
        answer=row["answer"],
        groups={"type": row["question_type"]},
    )


def _list(text: str) -> Sequence[str]:
    """Return what a Python list of literals in a text holds, or the text itself as the only one."""
    try:
        found = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return [text]
    return [str(one) for one in found] if isinstance(found, list) else [text]
