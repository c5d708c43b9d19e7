"""What ARCHITECTURE.md says of the sources is so."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
ENGINE = ROOT / "crates/hubpool/src"
BINDING = ROOT / "crates/hubpool-python/src"
PACKAGE = ROOT / "python/hubpool"

Graph = dict[str, set[str]]


def section(title: str) -> str:
    """Return what stands beneath a heading of the page."""
    return TEXT.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def defines(path: Path, name: str) -> bool:
    """Whether the file defines a function of this name."""
    keyword = "fn" if path.suffix == ".rs" else "def"
    source = path.read_text(encoding="utf-8")
    return re.search(rf"\b{keyword} {name}\b", source) is not None


def test_a_page_can_be_read_at_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= 200


@pytest.mark.parametrize("title", ["One task, step by step", "Where to look", "Concerns"])
def test_each_function_on_the_way_of_a_task_is_there(title: str) -> None:
    steps = re.findall(r"`([\w/.-]+)::(\w+)`", section(title))
    assert steps
    missing = [f"{path}::{name}" for path, name in steps if not defines(ROOT / path, name)]
    assert missing == []


def test_each_model_that_is_named_is_there() -> None:
    files = ["crates/hubpool/tests/models.rs", "crates/hubpool/src/models.rs"]
    models = "".join((ROOT / file).read_text(encoding="utf-8") for file in files)
    rows = [row for row in section("Where to look").splitlines() if "model" in row]
    names = {
        name
        for row in rows
        for names in re.findall(r"the models? ((?:`\w+`(?:, | and )?)+)", row)
        for name in re.findall(r"`(\w+)`", names)
    }
    assert names
    assert [name for name in sorted(names) if f"fn {name}()" not in models] == []


def test_the_code_map_has_each_source_file_once_and_no_other() -> None:
    folders = {
        "crates/hubpool/src": sorted(ENGINE.rglob("*.rs")),
        "crates/hubpool-python/src": sorted(BINDING.rglob("*.rs")),
        "python/hubpool": sorted([*PACKAGE.rglob("*.py"), *PACKAGE.rglob("*.pyi")]),
    }
    there = [
        f"{folder}/{path.relative_to(ROOT / folder)}"
        for folder in folders
        for path in folders[folder]
    ]
    tables = re.split(r"\n\| [\w ]+, in ", section("Code map"))[1:]
    named = [
        f"{folder}/{name}"
        for table in tables
        for folder in re.findall(r"^`([\w/-]+)`", table)
        for row in re.findall(r"^\| (`.*?) \| ", table, re.MULTILINE)
        for name in re.findall(r"`([\w/.]+)`", row)
    ]
    assert sorted(named) == sorted(there)


def rust_imports(root: Path) -> Graph:
    """Return which modules of a crate name which others, outside of comments and tests."""
    graph: Graph = {}
    for path in root.rglob("*.rs"):
        module = path.relative_to(root).parts[0].removesuffix(".rs")
        code = path.read_text(encoding="utf-8").partition("\nmod tests {")[0]
        code = re.sub(r"^\s*//.*$", "", code, flags=re.MULTILINE)
        names = set(re.findall(r"\bcrate::(\w+)", code))
        for group in re.findall(r"\bcrate::\{(.*?)\};", code, re.DOTALL):
            names.update(re.findall(r"\w+", group))
        graph.setdefault(module, set()).update(names)
    del graph["lib"]
    return {module: names & graph.keys() - {module} for module, names in graph.items()}


def python_imports() -> Graph:
    """Return which modules of the package import which others, for type checkers alone, too."""
    modules = {path.stem: path for path in PACKAGE.glob("*.py")}
    graph: Graph = {}
    for module, path in modules.items():
        names: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module is not None:
                package, _, rest = node.module.partition(".")
                if package == "hubpool":
                    names.update([rest] if rest else [alias.name for alias in node.names])
        graph[module] = names & modules.keys() - {module}
    return graph


def reachable(graph: Graph, start: str) -> set[str]:
    """Return the modules that a module imports, and those that these import."""
    found: set[str] = set()
    left = [start]
    while left:
        new = graph[left.pop()] - found
        found |= new
        left.extend(new)
    return found


def circles(graph: Graph) -> set[frozenset[str]]:
    """Return the groups of modules each of which imports, by some way, each other one."""
    reached = {module: reachable(graph, module) for module in graph}
    return {
        frozenset(other for other in graph if other in reached[module] and module in reached[other])
        for module in graph
        if module in reached[module]
    }


def named_circles(layer: str) -> set[frozenset[str]]:
    """Return the circles that the page admits."""
    [row] = re.findall(rf"^- {layer}[^:]*: (.*)\.$", section("Layers"), re.MULTILINE)
    return {frozenset(re.findall(r"`(\w+)`", group)) for group in row.split(";")}


@pytest.mark.parametrize(
    ("layer", "graph"),
    [
        ("Rust face", rust_imports(ENGINE)),
        ("Binding", rust_imports(BINDING)),
        ("Package", python_imports()),
    ],
)
def test_there_is_no_circle_of_imports_but_those_that_are_named(layer: str, graph: Graph) -> None:
    found = circles(graph)
    named = named_circles(layer)
    new = [sorted(circle) for circle in found if not any(circle <= other for other in named)]
    assert new == []


def test_the_engine_imports_nothing_of_the_face() -> None:
    graph = rust_imports(ENGINE)
    code = (ENGINE / "binding.rs").read_text(encoding="utf-8")
    exported = set(re.findall(r"^pub use crate::(\w+)", code, re.MULTILINE))
    engine = exported.union(*(reachable(graph, module) for module in exported))
    rows = re.search(r"\| engine, in .*?\n\n", section("Code map"), re.DOTALL)
    assert rows is not None
    named = {
        name.split("/")[0].removesuffix(".rs") for name in re.findall(r"`([\w/]+\.rs)`", rows[0])
    }
    assert engine | {"binding"} == named


def test_the_binding_imports_the_engine_by_one_door() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in BINDING.rglob("*.rs")}
    other = [
        f"{path.name}: {name}"
        for path, source in sources.items()
        for name in re.findall(
            r"\bhubpool::(\w+)", re.sub(r"^\s*//.*$", "", source, flags=re.MULTILINE)
        )
        if name != "binding"
    ]
    assert other == []
