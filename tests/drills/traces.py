"""Traces and access logs of two nodes, in a real OpenTelemetry Collector.

`python tests/drills/traces.py` builds the Collector from its Go modules and starts it. That takes
minutes the first time and 54 MB, so it is not in CI; `--collector FILE` takes one that was built. A
client, an authorisation service and endpoints send their own spans there, as instrumented programs
do. A request goes through a node over HTTP/2 to another one, which asks the service, is answered
503 by one endpoint, and tries the next. The drill prints the trace as the Collector shows it. Then
it sends many requests, and counts. Each span of a request in a node must have one log record with
the same ids, service and status. It ends with 1 if a span or a record is missing, has another
parent or place than it should, or is there twice.
"""

import argparse
import contextlib
import http.client
import itertools
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final, NamedTuple

from drill_parts import HERE, ROOT
from http_server import serving_http
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from ports import free_port
from running_node import RunningNode
from waiting import DEADLINE_S, until

BUILD: Final = ROOT / "build" / "collector"
COLLECTOR: Final = """
receivers:
  otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
exporters:
  debug: {{verbosity: detailed}}
service:
  pipelines:
    traces: {{receivers: [otlp], exporters: [debug]}}
    logs: {{receivers: [otlp], exporters: [debug]}}
  telemetry: {{metrics: {{level: none}}}}
"""
NODE: Final = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[node.tracing]
endpoint = "http://127.0.0.1:{collector}/v1/traces"
service_name = "{name}"

[node.access_log]
format = "common"
sink = "off"

[node.access_log.otlp]
endpoint = "http://127.0.0.1:{collector}"
service_name = "{name}"

[listeners.web]
address = "127.0.0.1:{port}"
default = true
h2c = true
"""
OUTER: Final = """
[routes.all]
upstream = "inner"

[upstreams.inner]
protocol = "h2c"
endpoints = ["127.0.0.1:{inner}"]
"""
INNER: Final = """
[middlewares.members.forward_auth]
upstream = "service"
path = "/verify"
timeout = "1m"

[routes.orders]
match = [{{ path = {{ prefix = "/orders" }} }}]
middlewares = ["members"]
upstream = "orders"

[routes.orders.retry]
retries = 2
on = [503]
backoff = {{ base = "1ms", jitter = "none" }}
budget = {{ percent = 100, per_second = 100 }}

[routes.plain]
upstream = "well"

[upstreams.orders]
balance = "round_robin"
endpoints = [{{ address = "127.0.0.1:{failing}", weight = 1000 }}, "127.0.0.1:{well}"]

[upstreams.well]
endpoints = ["127.0.0.1:{well}"]

[upstreams.service]
endpoints = ["127.0.0.1:{service}"]
"""


def exported(collector: int, service: str, trace: str, span: str, parent: str) -> None:
    """Sends a span of a program that is not ours to the Collector."""
    request = ExportTraceServiceRequest()
    resource = request.resource_spans.add()
    attribute = resource.resource.attributes.add(key="service.name")
    attribute.value.string_value = service
    one = resource.scope_spans.add().spans.add()
    one.trace_id, one.span_id = bytes.fromhex(trace), bytes.fromhex(span)
    one.parent_span_id, one.name = bytes.fromhex(parent), service
    one.kind = Span.SPAN_KIND_SERVER if parent else Span.SPAN_KIND_CLIENT
    one.start_time_unix_nano = one.end_time_unix_nano = time.time_ns()
    link = http.client.HTTPConnection("127.0.0.1", collector, timeout=DEADLINE_S)
    with contextlib.closing(link):
        head = {"content-type": "application/x-protobuf"}
        link.request("POST", "/v1/traces", request.SerializeToString(), head)
        status = link.getresponse().status
        if status != http.client.OK:
            raise RuntimeError(f"the Collector answered {status}")


def program(name: str, status: int, collector: int) -> type[BaseHTTPRequestHandler]:
    """A server that sends a span for each request that is traced, as an instrumented one does."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            _, trace, parent, _ = self.headers["traceparent"].split("-")
            if "x-quiet" not in self.headers:
                exported(collector, name, trace, secrets.token_hex(8), parent)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


class Shown(NamedTuple):
    """A span as the Collector shows it."""

    trace: str
    span: str
    parent: str
    service: str
    name: str
    kind: str
    attributes: dict[str, str]


class Record(NamedTuple):
    """What a log record and the span of its request have in common."""

    trace: str
    span: str
    service: str
    status: str


_PARTS: Final = re.compile(r"Resource(Spans|Log) #")
_FIELD: Final = re.compile(r"^    ([A-Z][A-Za-z ]*?) *: ?(.*)$")
_ATTRIBUTE: Final = re.compile(r"^     -> ([a-z_.]+): \w+\((.*)\)$")


def parts(text: str, kind: str) -> list[str]:
    """The parts of the text that are about spans, or about a log."""
    pieces = _PARTS.split(text)
    return [part for name, part in zip(pieces[1::2], pieces[2::2], strict=True) if name == kind]


def records(text: str) -> list[Record]:
    """Every log record in the text of the debug exporter."""
    found = []
    for resource in parts(text, "Log"):
        service = re.search(r"-> service\.name: Str\((.*)\)", resource)
        for block in resource.split("\nLogRecord #")[1:]:
            about = {m[1]: m[2] for line in block.splitlines() if (m := _ATTRIBUTE.match(line))}
            status = about["http.response.status_code"]
            body = re.search(r"(?m)^Body: Str\(.* HTTP/[0-9.]+\" ([0-9]+) [0-9]+\)$", block)
            if body is None or body[1] != status:
                raise RuntimeError(f"the line is not that of the attributes:\n{block}")
            ids = (re.search(rf"(?m)^{name} ID: ([0-9a-f]+)$", block) for name in ("Trace", "Span"))
            trace, span = (one[1] if one else "" for one in ids)
            found.append(Record(trace, span, service[1] if service else "", status))
    return found


def unrecorded(text: str) -> list[str]:
    """What is wrong with the log records, beside the spans of requests in nodes."""
    spans = Counter(
        Record(one.trace, one.span, one.service, one.attributes["http.response.status_code"])
        for one in shown(text)
        if one.kind == "Server" and "headgate.request_id" in one.attributes
    )
    logged = Counter(records(text))
    return [f"without a log record: {one}" for one in spans - logged] + [
        f"a log record without its request: {one}" for one in logged - spans
    ]


def shown(text: str) -> list[Shown]:
    """Every span in the text of the debug exporter."""
    found = []
    for resource in parts(text, "Spans"):
        service = re.search(r"-> service\.name: Str\((.*)\)", resource)
        for block in resource.split("\nSpan #")[1:]:
            lines = block.splitlines()
            said = {m[1]: m[2] for line in lines if (m := _FIELD.match(line))}
            about = {m[1]: m[2] for line in lines if (m := _ATTRIBUTE.match(line))}
            ids = said["Trace ID"], said["ID"], said["Parent ID"]
            name = service[1] if service else ""
            found.append(Shown(*ids, name, said["Name"], said["Kind"], about))
    return found


def tree(spans: list[Shown], parent: str = "", depth: int = 0) -> Iterator[str]:
    """The lines of a trace, each span below its parent."""
    for one in spans:
        if one.parent != parent:
            continue
        named = ("http.response.status_code", "http.request.resend_count", "error.type")
        about = " ".join(f"{k}={one.attributes[k]}" for k in named if k in one.attributes)
        yield f"{'    ' * depth}{one.service}: {one.name} ({one.kind}) {about}".rstrip()
        yield from tree(spans, one.span, depth + 1)


EXPECTED: Final = """\
client: client (Client)
    outer: GET all (Server) http.response.status_code=200
        outer: GET (Client) http.response.status_code=200
            inner: GET orders (Server) http.response.status_code=200
                inner: forward_auth (Internal)
                    service: service (Server)
                inner: GET (Client) http.response.status_code=503 error.type=503
                    failing: failing (Server)
                inner: GET (Client) http.response.status_code=200 http.request.resend_count=1
                    well: well (Server)"""


def built() -> Path:
    """The Collector, built if its sources are newer. Raises RuntimeError without Go."""
    go = shutil.which("go")
    if go is None:
        raise RuntimeError("go is not installed; give --collector")
    BUILD.mkdir(parents=True, exist_ok=True)
    for file in ("main.go", "go.mod"):
        shutil.copy(HERE / "collector" / file, BUILD)
    for words in (["mod", "tidy"], ["build", "-o", "collector", "."]):
        subprocess.run(["/usr/bin/env", "nice", "-n", "19", go, *words], cwd=BUILD, check=True)
    return BUILD / "collector"


@contextlib.contextmanager
def collecting(command: Path, folder: Path, port: int) -> Iterator[Path]:
    """The Collector at work; the file with what it shows."""
    settings, log = folder / "collector.yaml", folder / "collector.log"
    settings.write_text(COLLECTOR.format(port=port))
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(command), "--config", f"file:{settings}"],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=os.environ | {"NO_COLOR": "1"},
        )
    try:
        until(lambda: "Everything is ready" in log.read_text(), "the Collector")
        yield log
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def asked(port: int, path: str, trace: str, span: str, **more: str) -> int:
    """The status of a traced request."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    with contextlib.closing(link):
        link.request("GET", path, headers={"traceparent": f"00-{trace}-{span}-01", **more})
        return link.getresponse().status


def one_trace(port: int, collector: int, log: Path) -> str:
    """The tree of one request."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    exported(collector, "client", trace, span, "")
    if asked(port, "/orders/7", trace, span) != http.client.OK:
        raise RuntimeError("the request was not answered")

    def of_it() -> list[Shown]:
        return [one for one in shown(log.read_text()) if one.trace == trace]

    until(lambda: len(of_it()) >= EXPECTED.count("\n") + 1, "the spans")
    return "\n".join(tree(of_it()))


def many(port: int, log: Path, count: int) -> list[str]:
    """What is wrong with the traces of many requests, each of which has four spans here."""
    sent = [secrets.token_hex(16) for _ in range(count)]
    parts = [sent[start::4] for start in range(4)]
    quiet = {"x-quiet": "1"}

    def run(part: list[str]) -> None:
        for trace in part:
            asked(port, "/plain", trace, trace[:16], **quiet)

    begun = time.monotonic()
    threads = [threading.Thread(target=run, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.monotonic() - begun

    def spans() -> Counter[str]:
        return Counter(re.findall(r"(?m)^    Trace ID +: ([0-9a-f]{32})$", log.read_text()))

    wanted = set(sent)
    until(lambda: wanted <= {trace for trace, n in spans().items() if n >= 4}, "all spans")
    found = [one for one in shown(log.read_text()) if one.trace in wanted]
    ids = Counter(one.span for one in found)
    sys.stdout.write(f"{count} requests in {took_s:.1f} s, {len(found)} spans in the Collector.\n")
    by_trace = itertools.groupby(sorted(found), key=lambda one: one.trace)
    shapes = Counter("\n".join(tree(list(of), trace[:16])) for trace, of in by_trace)
    wrong = [f"a span twice: {span}" for span, times in ids.items() if times > 1]
    if len(shapes) != 1:
        wrong += [f"{times} traces are\n{shape}" for shape, times in shapes.items()]
    if len(found) != 4 * count:
        wrong.append(f"{len(found)} spans, {4 * count} expected")
    return wrong


def main() -> int:
    """Tries one request and many, and returns how the drill ends."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--collector", type=Path, help="one that was built before")
    parser.add_argument("--requests", type=int, default=2000, help="how many of the many")
    chosen = parser.parse_args()
    command = chosen.collector or built()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="hg-")))
        collector, ports = free_port(), [free_port(), free_port()]
        log = stack.enter_context(collecting(command, folder, collector))
        places = {
            name: stack.enter_context(serving_http(program(name, status, collector)))
            for name, status in (("well", 200), ("failing", 503), ("service", 200))
        }
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        for index, (name, more) in enumerate(
            (("outer", OUTER.format(inner=ports[1])), ("inner", INNER.format(**places)))
        ):
            place = folder / name
            place.mkdir()
            text = NODE.format(name=name, collector=collector, port=ports[index]) + more
            stack.enter_context(RunningNode(place, text).until_ready())
        with contextlib.redirect_stdout(sys.__stdout__):
            found = one_trace(ports[0], collector, log)
            sys.stdout.write(f"{found}\n\n")
            wrong = many(ports[0], log, chosen.requests)
            with contextlib.suppress(AssertionError):
                until(lambda: not unrecorded(log.read_text()), "a log record of each request")
            wrong += unrecorded(log.read_text())
            sys.stdout.write(f"{len(records(log.read_text()))} log records in the Collector.\n")
            if found != EXPECTED:
                wrong.append(f"expected was\n{EXPECTED}")
            sys.stdout.write("\n".join([*wrong, f"{len(wrong)} faults.\n"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
