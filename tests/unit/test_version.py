"""The version has one place: Cargo.toml."""

from __future__ import annotations

import re
from importlib.metadata import metadata, version
from pathlib import Path

import hubpool

ROOT = Path(__file__).parents[2]


def test_the_packages_version_is_that_of_the_crates() -> None:
    manifest = (ROOT / "Cargo.toml").read_text(encoding="utf-8")
    found = re.search(r'^version = "(.+)"', manifest, re.MULTILINE)
    assert found
    # What follows the numbers is written otherwise by Python (1.0rc1) than by Cargo (1.0.0-rc.1).
    numbers = found[1].split("-")[0]
    assert re.match(rf"{re.escape(numbers)}(?![\d.])", hubpool.__version__)


def test_the_version_is_that_of_the_installed_distribution() -> None:
    assert hubpool.__version__ == version("hubpool")
    assert "__version__" in dir(hubpool)


def test_the_distribution_says_where_its_sources_and_its_changes_are() -> None:
    urls = dict(url.split(", ") for url in metadata("hubpool").get_all("Project-URL") or [])
    assert {"Source", "Changelog", "Documentation", "Issues"} <= set(urls)
