"""Small copies of the image benchmarks' tables: the hub's columns, with the pictures inside the parquet files."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from layout_files import WORDS, lettered, picture

MME_CATEGORIES = ("existence", "code_reasoning")


class ImageTable(NamedTuple):
    """Rows of a table, and its file in the benchmark's folder."""

    benchmark: str
    rows: list[dict[str, Any]]
    file: str
    images: tuple[str, ...] = ("image",)
    more: Mapping[str, list[dict[str, Any]]] = MappingProxyType({})
    """Rows of further files, by path."""


def image(shade: int = 0) -> dict[str, Any]:
    return {"bytes": picture(shade), "path": None}


def tables() -> list[ImageTable]:
    options = list(WORDS[:4])
    options_text = "\n".join(lettered("{}. {}"))
    return [
        ImageTable(
            "mme",
            [
                {
                    "question_id": f"{category}/{i}.png",
                    "question": "Is it red? Please answer yes or no.",
                    "answer": answer,
                    "category": category,
                    "image": image(i),
                }
                for category in MME_CATEGORIES
                for i in range(2)
                for answer in ("Yes", "No")
            ],
            "data/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "mmbench",
            [
                {
                    "index": i + 1_000_000 * turn,
                    "question": "Which?",
                    "hint": "nan" if i else "A hint.",
                    **{
                        letter: (options[turn:] + options[:turn])[n] if n < 4 else "nan"
                        for n, letter in enumerate("ABCDE")
                    },
                    "answer": "ABCD"[(i - turn) % 4],
                    "category": "ocr",
                    "L2-category": "perception",
                    "image": image(i),
                }
                for i in range(2)
                for turn in range(4)
            ],
            "en/dev-00000-of-00001.parquet",
        ),
        ImageTable(
            "seedbench",
            [
                {
                    "question_id": str(i),
                    "data_id": f"img{i}",
                    "data_type": ("image", "image", "video")[i],
                    "question": "Which?",
                    "question_type_id": 1 + i,
                    **{f"choice_{letter}": word for letter, word in zip("abcd", WORDS, strict=False)},
                    "answer": "ABC"[i],
                    "image": [image(i)],
                }
                for i in range(3)
            ],
            "data/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "pope",
            [
                {
                    "id": str(i),
                    "question_id": str(i),
                    "question": "Is there a dog?",
                    "answer": ("yes", "no")[i % 2],
                    "category": category,
                    "image_source": f"COCO_{i // 2}",
                    "image": image(i),
                }
                for category in ("random", "popular", "adversarial")
                for i in range(4)
            ],
            "Full/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "scienceqa",
            [
                {
                    "question": "Which?",
                    "choices": options[: 2 + i],
                    "answer": i,
                    "hint": "Look." if i else "",
                    "subject": "natural science",
                    "image": image(i),
                }
                for i in range(2)
            ],
            "ScienceQA-IMG/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "gqa",
            [{"id": f"q{i}", "imageId": f"n{i % 2}", "question": "What is it?", "answer": "dog"} for i in range(3)],
            "testdev_balanced_instructions/testdev-00000-of-00001.parquet",
            more={
                "testdev_balanced_images/testdev-00000-of-00001.parquet": [
                    {"id": f"n{i}", "image": image(100 * i)} for i in (1, 0)
                ]
            },
        ),
        ImageTable(
            "textvqa",
            [
                {
                    "question_id": i,
                    "image_id": f"i{i}",
                    "question": "what does it say?",
                    "answers": ["stop"] * 8 + ["halt"] * 2,
                    "image": image(),
                }
                for i in range(2)
            ],
            "data/validation-00000-of-00001.parquet",
        ),
        ImageTable(
            "ai2d",
            [{"question": "Which?", "options": options, "answer": str(i), "image": image()} for i in range(3)],
            "data/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "chartqa",
            [
                {"question": "How much?", "answer": answer, "type": kind, "image": image()}
                for answer, kind in (("42.5", "human_test"), ("red", "augmented_test"))
            ],
            "data/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "docvqa",
            [
                {"questionId": str(n), "docId": 7, "question": "Who?", "answers": ["ITC Limited"], "image": image()}
                for n in range(2)
            ],
            "DocVQA/validation-00000-of-00001.parquet",
        ),
        ImageTable(
            "mmmu",
            [
                {
                    "id": f"validation_Art_{i}",
                    "question": "What does <image 1> and <image 2> show?",
                    "options": repr(options) if i else "[]",
                    "answer": "B" if i else "['12', 'twelve']",
                    "question_type": "multiple-choice" if i else "open",
                    **{f"image_{n}": image(n) if n < 3 else None for n in range(1, 8)},
                }
                for i in range(2)
            ],
            "data/validation-00000-of-00001.parquet",
            images=tuple(f"image_{n}" for n in range(1, 8)),
        ),
        ImageTable(
            "mmstar",
            [
                {
                    "index": i,
                    "question": "Which?\nOptions: A: red, B: green, C: blue, D: white",
                    "answer": "ABCD"[i],
                    "category": ("coarse perception", "math")[i % 2],
                    "l2_category": "scene",
                    "image": image(),
                }
                for i in range(4)
            ],
            "mmstar/val-00000-of-00001.parquet",
        ),
        ImageTable(
            "realworldqa",
            [
                {
                    "question": f"Which?\n{options_text}\nPlease answer with only the letter of the correct option.",
                    "answer": "C",
                    "image": image(),
                },
                {"question": "How many?\nPlease answer with a single number.", "answer": "3", "image": image()},
            ],
            "data/test-00000-of-00001.parquet",
        ),
        ImageTable(
            "muirbench",
            [
                {
                    "idx": f"m{i}",
                    "question": "Which of <image> and <image>?",
                    "options": options,
                    "answer": "ABCD"[i],
                    "task": "Counting",
                    "image_relation": "Temporal",
                    "image_type": "Photo",
                    "image_list": [image(1), image(2)],
                }
                for i in range(2)
            ],
            "data/test-00000-of-00001.parquet",
            images=("image_list",),
        ),
        ImageTable(
            "mantis",
            [
                {
                    "id": f"mantis_{i}",
                    "question": "Which?",
                    "options": [f"(A) {WORDS[0]}", f"(B) {WORDS[1]}"] if i else [],
                    "answer": "B" if i else "dog",
                    "question_type": "multi-choice" if i else "short-answer",
                    "images": [image(1), image(2)],
                }
                for i in range(2)
            ],
            "mantis_eval/test-00000-of-00001.parquet",
            images=("images",),
        ),
    ]


def write_tables(root: Path) -> None:
    """Write all tables into a `$QSV_DATA` folder."""
    for table in tables():
        for file, rows in ({table.file: table.rows} | dict(table.more)).items():
            _write(root / table.benchmark / file, rows, table.images)


def _write(path: Path, rows: list[dict[str, Any]], images: tuple[str, ...]) -> None:
    from datasets import Dataset, Image
    from datasets import List as ListFeature

    path.parent.mkdir(parents=True, exist_ok=True)
    table = Dataset.from_list(rows)
    for name in set(images) & set(table.column_names):
        is_list = isinstance(rows[0][name], list)
        table = table.cast_column(name, ListFeature(Image()) if is_list else Image())
    table.to_parquet(path)
