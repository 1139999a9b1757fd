"""A collector of traces and logs: takes OTLP over HTTP, decodes it with OpenTelemetry's own
messages, and answers as a test wants."""

import ssl
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Self

from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from ports import free_port
from waiting import until

from headgate.testing.server import HttpServer

SERVER, CLIENT, INTERNAL = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_INTERNAL


@dataclass(frozen=True)
class Got:
    """A span as a person reads it."""

    trace: str
    span: str
    parent: str
    name: str
    kind: int
    is_error: bool
    began_ns: int
    ended_ns: int
    service: str
    attributes: dict[str, object]


@dataclass(frozen=True)
class GotRecord:
    """A log record as a person reads it."""

    body: str
    severity: tuple[int, str]
    trace: str
    span: str
    flags: int
    time_ns: int
    observed_ns: int
    service: str
    attributes: dict[str, object]


class OtlpReceiver:
    """Listens until the block ends; `status` is what it answers, `hold` lets answers wait."""

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port or free_port()
        scheme = "http" if tls is None else "https"
        self.endpoint = f"{scheme}://127.0.0.1:{self.port}/v1/traces"
        self.logs_endpoint = f"{scheme}://127.0.0.1:{self.port}"
        self.status = 200
        self.rejects = 0
        self.hold = threading.Event()
        self.hold.set()
        self.asked = 0
        self.heads: list[dict[str, str]] = []
        self._spans: list[Got] = []
        self._records: list[GotRecord] = []
        self._server = HttpServer(("127.0.0.1", self.port), self._handler())
        if tls is not None:
            # Handshakes belong to the threads of connections: one that fails stops no other.
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hold.set()
        self._server.shutdown()
        self._server.server_close()

    def spans(self, trace: str = "") -> list[Got]:
        """What was taken, of one trace or of all, in the order of the begins."""
        found = [one for one in list(self._spans) if trace in ("", one.trace)]
        return sorted(found, key=lambda one: (one.began_ns, one.kind != SERVER))

    def records(self, count: int) -> list[GotRecord]:
        """The log records in the order in which they came, once there are so many."""
        until(lambda: len(self._records) >= count, f"{count} log records")
        return list(self._records)

    def whole(self, trace: str, count: int) -> list[Got]:
        """The spans of a trace, once there are so many."""
        until(lambda: len(self.spans(trace)) >= count, f"{count} spans of {trace}")
        return self.spans(trace)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.heads.append({k.lower(): v for k, v in self.headers.items()})
                receiver.asked += 1
                receiver.hold.wait()
                status = receiver.status
                content = receiver.answer(self.path, body) if status == 200 else b""
                self.send_response(status)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def answer(self, path: str, body: bytes) -> bytes:
        """Takes an export; the answer to it."""
        # First: who sees what was taken may change what the next answer says.
        rejects = self.rejects
        if path == "/v1/logs":
            logs = ExportLogsServiceResponse()
            logs.partial_success.rejected_log_records = rejects
            self.take_logs(body)
            return bytes(logs.SerializeToString())
        assert path == "/v1/traces", path
        traces = ExportTraceServiceResponse()
        traces.partial_success.rejected_spans = rejects
        self.take(body)
        return bytes(traces.SerializeToString())

    def take_logs(self, body: bytes) -> None:
        """Decodes an export of log records, as `take` does with spans."""
        request = ExportLogsServiceRequest.FromString(body)
        assert not len(UnknownFieldSet(request)), "unknown fields"
        for resource in request.resource_logs:
            about = _attributes(resource.resource.attributes)
            for scope in resource.scope_logs:
                assert scope.scope.name == "headgate"
                assert not len(UnknownFieldSet(scope)), "unknown fields"
                for record in scope.log_records:
                    assert not len(UnknownFieldSet(record)), "unknown fields"
                    self._records.append(_read_record(record, str(about["service.name"])))

    def take(self, body: bytes) -> None:
        """Decodes an export; a field that its messages do not know is an error."""
        request = ExportTraceServiceRequest.FromString(body)
        assert not len(UnknownFieldSet(request)), "unknown fields"
        for resource in request.resource_spans:
            about = _attributes(resource.resource.attributes)
            for scope in resource.scope_spans:
                assert scope.scope.name == "headgate"
                assert not len(UnknownFieldSet(scope)), "unknown fields"
                for span in scope.spans:
                    assert not len(UnknownFieldSet(span)), "unknown fields"
                    self._spans.append(_read(span, str(about["service.name"])))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, object]:
    found: dict[str, object] = {}
    for one in pairs:
        assert one.key not in found, one.key
        found[one.key] = _value(one.value)
    return found


def _value(value: AnyValue) -> object:
    if value.WhichOneof("value") == "array_value":
        return [_value(one) for one in value.array_value.values]
    return getattr(value, str(value.WhichOneof("value")))


def _read_record(record: LogRecord, service: str) -> GotRecord:
    assert (len(record.trace_id), len(record.span_id)) in {(0, 0), (16, 8)}
    assert record.time_unix_nano <= record.observed_time_unix_nano
    return GotRecord(
        body=record.body.string_value,
        severity=(record.severity_number, record.severity_text),
        trace=record.trace_id.hex(),
        span=record.span_id.hex(),
        flags=record.flags,
        time_ns=record.time_unix_nano,
        observed_ns=record.observed_time_unix_nano,
        service=service,
        attributes=_attributes(record.attributes),
    )


def _read(span: Span, service: str) -> Got:
    attributes = _attributes(span.attributes)
    assert (len(span.trace_id), len(span.span_id)) == (16, 8)
    assert span.start_time_unix_nano <= span.end_time_unix_nano
    return Got(
        trace=span.trace_id.hex(),
        span=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        name=span.name,
        kind=span.kind,
        is_error=span.status.code == 2,
        began_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        service=service,
        attributes=attributes,
    )
