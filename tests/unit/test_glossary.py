"""Each word of docs/glossary.md is there once, and the code uses it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| (?!word |---)(.+?) \| (.+?) \| (.+?) \|$", re.MULTILINE)
ROWS = ROW.findall(TEXT)
SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("crates/hubpool/src", "crates/hubpool-python/src", "python/hubpool")
    for pattern in ("*.rs", "*.py", "*.pyi")
    for path in sorted((ROOT / folder).rglob(pattern))
)


def test_each_row_of_the_page_is_read() -> None:
    tables = [line for line in TEXT.splitlines() if line.startswith("| ")]
    headings = [line for line in tables if line.startswith("| word |")]
    assert len(ROWS) == len(tables) - len(headings) > 60


@pytest.mark.parametrize(("word", "names"), [(word, names) for word, _, names in ROWS])
def test_each_word_stands_for_something_in_the_code(word: str, names: str) -> None:
    identifiers = re.findall(r"`([\w:]+)`", names)
    assert identifiers, word
    missing = [name for name in identifiers if not re.search(rf"\b{name}\b", SOURCES)]
    assert missing == []


def test_each_word_has_one_meaning_but_those_of_the_last_section() -> None:
    first, _, _ = TEXT.partition("\n## Words that mean more than one thing in the code\n")
    words = [word for word, _, _ in ROW.findall(first)]
    assert sorted(words) == sorted(set(words))
    assert len(words) > 50
