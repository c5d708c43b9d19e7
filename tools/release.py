"""Check that the tag at hand, the version in Cargo.toml and the changelog are of one release."""

from __future__ import annotations

import re
import sys

from environment import ROOT, run


def main() -> str | None:
    """Return what has to be mended before the release, None if that is nothing."""
    manifest = (ROOT / "Cargo.toml").read_text("utf-8")
    version = re.search(r'^version = "(.+)"', manifest, re.MULTILINE)
    assert version, "Cargo.toml has no version"
    problems = []
    tag = f"v{version[1]}"
    if tag not in run(["git", "tag", "--points-at", "HEAD"]).split():
        problems.append(f"the commit has no tag {tag}, though Cargo.toml's version is {version[1]}")
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    heading = rf"^## {re.escape(version[1])} \(\d{{4}}-\d\d-\d\d\)$"
    if not re.search(heading, changelog, re.MULTILINE):
        problems.append(f"CHANGELOG.md has no heading `## {version[1]} (YYYY-MM-DD)`")
    return "; ".join(problems) or None


if __name__ == "__main__":
    sys.exit(main())
