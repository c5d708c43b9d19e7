"""What a task of an executor sees of its submitter's trace, by the tracer's own integration.

traced.py TRACER ORDER [patched]: with ORDER "first" the tracer is there before hubpool.
"""

import sys

tracer, order, *patched = sys.argv[1:]
if patched:
    from gevent import monkey

    monkey.patch_all()
if order == "last":
    import hubpool.executor  # noqa: F401
import gevent


def opentelemetry(run, submit):
    from opentelemetry import trace
    from opentelemetry.instrumentation.threading import ThreadingInstrumentor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    ThreadingInstrumentor().instrument()
    spans = trace.get_tracer("test")

    def task(number):
        with spans.start_as_current_span(f"task {number}"):
            gevent.sleep(0.001)

    def request(number):
        with spans.start_as_current_span(f"request {number}"):
            submit(task, number)

    run(request)
    found = {span.name: span for span in exporter.get_finished_spans()}
    return [
        found[f"task {n}"].parent is not None
        and found[f"task {n}"].parent.span_id == found[f"request {n}"].context.span_id
        for n in range(8)
    ]


def sentry(run, submit):
    import sentry_sdk
    from sentry_sdk.integrations.threading import ThreadingIntegration

    events = []
    sentry_sdk.init(
        dsn="http://key@127.0.0.1:1/1",
        before_send=lambda event, _: events.append(event),
        default_integrations=False,
        integrations=[ThreadingIntegration(propagate_scope=True)],
    )

    def task(number):
        gevent.sleep(0.001)
        sentry_sdk.capture_message(f"task {number}")

    def request(number):
        with sentry_sdk.isolation_scope() as scope:
            scope.set_tag("request", number)
            submit(task, number)

    run(request)
    found = {event["message"]: event.get("tags", {}).get("request") for event in events}
    return [found.get(f"task {n}") == n for n in range(8)]


def ddtrace(run, submit):
    from ddtrace import patch
    from ddtrace.trace import TraceFilter, tracer

    spans = {}

    class Keep(TraceFilter):
        def process_trace(self, trace):
            spans.update({span.name: span for span in trace})

    tracer.configure(trace_processors=[Keep()])
    patch(futures=True)

    def task(number):
        with tracer.trace(f"task {number}"):
            gevent.sleep(0.001)

    def request(number):
        with tracer.trace(f"request {number}"):
            submit(task, number)

    run(request)
    return [spans[f"task {n}"].parent_id == spans[f"request {n}"].span_id for n in range(8)]


def main():
    pending = []

    def submit(function, number):
        from hubpool import ThreadPoolExecutor

        if not pending:
            pending.append(ThreadPoolExecutor(4))
        pending.append(pending[0].submit(function, number))
        pending[-1].result()

    def run(request):
        gevent.joinall([gevent.spawn(request, n) for n in range(8)], raise_error=True)
        pending[0].shutdown()

    seen = {"opentelemetry": opentelemetry, "sentry": sentry, "ddtrace": ddtrace}[tracer](
        run, submit
    )
    print("right" if seen == [True] * 8 else seen)


main()
