"""What the documents name exists."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = ["README.md", "ARCHITECTURE.md", "PARITY.md", "CONTRIBUTING.md", "SECURITY.md"]


@pytest.mark.parametrize(
    "document",
    [*DOCUMENTS, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))],
)
def test_every_file_and_test_that_is_named_is_there(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    names = re.findall(
        r"`((?:tests|crates|python|benches|examples|docs)/[\w./]*)(?:::(\w+))?`", text
    )
    for path, test in names:
        assert (ROOT / path).exists(), path
        if test:
            source = (ROOT / path).read_text(encoding="utf-8")
            keyword = "fn" if path.endswith(".rs") else "def"
            assert re.search(rf"\b{keyword} {test}\b", source), f"{path}::{test}"
    for link in re.findall(r"\]\(([\w./-]+)\)", text):
        assert ((ROOT / document).parent / link).exists(), link


#: Pages that are written by the rule of CONTRIBUTING.md, "Prose", as all shall be.
PLAIN = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/glossary.md",
    "docs/decisions/README.md",
    *(
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "docs/decisions").glob("00[1-9]*.md"))
    ),
]
VAGUE = re.compile(
    r"\b(who|whoever|whom|in vain|for ever|all the same|so many|so long|of late|nobody's)\b",
    re.IGNORECASE,
)


@pytest.mark.parametrize("page", PLAIN)
def test_a_page_names_the_actor(page: str) -> None:
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL | re.M)
    lines = re.sub(r"`[^`\n]*`|\]\([^)\n]*\)", "", text).splitlines()
    assert [line for line in lines if VAGUE.search(line)] == []


def test_the_table_of_versions_has_each_that_the_package_is_for() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    versions = re.findall(r'"Programming Language :: Python :: (3\.\d+)"', project)
    table = (ROOT / "docs" / "cpythons.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (3\.\d+)\S* \| (\w+) \|", table, re.MULTILINE)
    assert rows == [(version, loop) for version in versions for loop in ("libev", "libuv")]


def test_the_readmes_example_runs(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes(b"x = 1\n")
    [example] = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL
    )
    ended = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    digest = hashlib.sha256(b"x = 1\n").hexdigest()
    assert (ended.stdout, ended.stderr) == (f"{[digest]}\n", "")
