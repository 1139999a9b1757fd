"""A UDP name server for one name, which can be told to fail."""

import contextlib
import socket
import struct
import threading

_A, _NO_ERROR, _SERVFAIL, _NXDOMAIN = 1, 0, 2, 3


class DnsServer:
    """Answers every A question with `address` and a TTL of zero, as `mode` says.

    Modes: `answer`, `SERVFAIL`, `NXDOMAIN`, `silence`.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.mode = "answer"
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Ends it."""
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                question, client = self._socket.recvfrom(4096)
                self.asked += 1
                answer = self._answer(question)
                if answer:
                    self._socket.sendto(answer, client)

    def _answer(self, question: bytes) -> bytes:
        """RFC 1035 §4.1; the question is given back without what follows it (EDNS)."""
        if self.mode == "silence" or len(question) < 17:
            return b""
        end = question.index(0, 12) + 5
        (kind,) = struct.unpack("!H", question[end - 4 : end - 2])
        code = {"SERVFAIL": _SERVFAIL, "NXDOMAIN": _NXDOMAIN}.get(self.mode, _NO_ERROR)
        has_answer = code == _NO_ERROR and kind == _A
        flags = 0x8180 | code
        head = question[:2] + struct.pack("!HHHHH", flags, 1, int(has_answer), 0, 0)
        if not has_answer:
            return head + question[12:end]
        record = struct.pack("!HHHIH", 0xC00C, _A, 1, 0, 4) + socket.inet_aton(self.address)
        return head + question[12:end] + record
