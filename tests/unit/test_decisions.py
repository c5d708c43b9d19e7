"""Each record of docs/decisions is whole, and the index has it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs/decisions"
RECORDS = sorted(FOLDER.glob("[0-9]*.md"))
SECTIONS = [
    "Context",
    "Decision",
    "Tried, and dropped",
    "Measured",
    "Costs",
    "How to remove it",
    "Where",
    "Held by",
]
#: What an early record has, beside sections of its own.
LEAST = ["Context", "Decision", "Costs", "How to remove it", "Held by"]
EARLY = 10

SOURCES = "\n".join(
    path.read_text(encoding="utf-8")
    for folder in ("crates", "python")
    for pattern in ("*.rs", "*.py", "*.pyi", "*.md")
    for path in (ROOT / folder).rglob(pattern)
)

each_record = pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.stem[:4])


def sections(record: Path) -> dict[str, str]:
    """Return the text beneath each heading."""
    parts = re.split(r"^## (.*)\n", record.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@each_record
def test_a_record_has_its_sections_in_order_and_none_is_empty(record: Path) -> None:
    found = sections(record)
    early = int(record.stem[:4]) < EARLY
    required = LEAST if early else SECTIONS
    assert [name for name in found if name in required or not early] == required
    assert [name for name, text in found.items() if not text.strip()] == []


@each_record
def test_a_record_bears_its_number_and_a_title(record: Path) -> None:
    first = record.read_text(encoding="utf-8").splitlines()[0]
    assert re.fullmatch(rf"# {int(record.stem[:4])}\. \S.*", first)


@each_record
def test_what_holds_a_decision_and_where_it_is_exist(record: Path) -> None:
    found = sections(record)
    text = found["Held by"] + found.get("Where", "")
    names = re.findall(r"`((?:tests|crates|python|benches|docs)/[\w./]+)(?:::(\w+))?`", text)
    assert names
    for path, name in names:
        assert (ROOT / path).is_file() or (ROOT / path).is_dir(), path
        if name:
            keyword = "fn" if path.endswith(".rs") else "def"
            source = (ROOT / path).read_text(encoding="utf-8")
            assert re.search(rf"\b{keyword} {name}\b", source), f"{path}::{name}"


@each_record
def test_each_name_in_code_that_a_record_mentions_is_in_the_sources(record: Path) -> None:
    # What was dropped is not there, and a record may say what its removal would leave.
    found = sections(record)
    text = found["Costs"] + found["How to remove it"]
    if int(record.stem[:4]) >= EARLY:
        text += found["Decision"]
    names = {
        part
        for name in re.findall(r"`([A-Za-z_]\w*(?:(?:\.|::)\w+)*)`", text)
        for part in re.split(r"\.|::", name)
    }
    missing = sorted(name for name in names if not re.search(rf"(?:\b|_){name}\b", SOURCES))
    assert missing == []


def test_the_index_has_each_record_once_with_its_title() -> None:
    index = (FOLDER / "README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| \[(.*)\]\(([\w.-]+)\) \|$", index, re.MULTILINE)
    titles = [record.read_text(encoding="utf-8").splitlines()[0] for record in RECORDS]
    there = sorted((title, record.name) for title, record in zip(titles, RECORDS, strict=True))
    assert sorted((f"# {number}. {title}", name) for number, title, name in rows) == there
