"""A span or scope of the submitter arrives in an executor's task, by the tracer's integration."""

from __future__ import annotations

import sys

import pytest
from processes import LIBEV, LIBUV, PROGRAMS, environment, run


@pytest.mark.parametrize("loop", [LIBEV, LIBUV])
@pytest.mark.parametrize("patched", [[], ["patched"]], ids=["unpatched", "patched"])
@pytest.mark.parametrize("order", ["first", "last"])
@pytest.mark.parametrize("tracer", ["opentelemetry", "sentry", "ddtrace"])
def test_a_task_belongs_to_what_its_submitter_does(
    tracer: str, order: str, patched: list[str], loop: str
) -> None:
    program = [sys.executable, PROGRAMS / "traced.py", tracer, order, *patched]
    quiet = {"DD_TRACE_ENABLED": "true", "DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"}
    done = run(program, environment("hubpool", loop, **quiet))
    assert (done.returncode, done.stdout) == (0, "right\n"), done.stderr
