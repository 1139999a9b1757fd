"""`client_subject`: a condition on the subject of the client's verified certificate."""

from typing import ClassVar

from headgate.features.base import MatchCondition
from headgate.features.values import CONDITION, ValueCondition


class ClientSubject(ValueCondition, MatchCondition):
    """The subject of the client's verified certificate, as RFC 4514 writes it."""

    key: ClassVar[str] = "client_subject"
    summary: ClassVar[str] = (
        "The subject of the client's verified certificate, as RFC 4514 writes it "
        "(`CN=alice,O=ACME`)."
    )
    plain: ClassVar = CONDITION
