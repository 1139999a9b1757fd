"""`client_subject` in nginx: maps of `$ssl_client_s_dn`."""

from typing import Final

from headgate.features.match.header.nginx import value_condition
from headgate.features.nginx import GIVES_UP, About, Parity, Shared
from headgate.nginxtext.writer import Var
from headgate.plan.objects import ValueMatch

SUBJECT: Final = Var("hg_client_subject")
"""Empty unless the certificate was verified."""

ESCAPED: Final = "nginx writes characters other than ASCII in a subject as `\\XX`"

PARITY: Final = (
    Parity("routes.NAME.match[].client_subject.exact", "differs", f'{ESCAPED}; `""` is refused'),
    Parity("routes.NAME.match[].client_subject.prefix", "differs", ESCAPED),
    Parity("routes.NAME.match[].client_subject.regex", "differs", f"{ESCAPED}; {GIVES_UP}"),
    Parity("routes.NAME.match[].client_subject.present", "same"),
    Parity("routes.NAME.match[].client_subject.absent", "same"),
)


def condition(rule: ValueMatch, shared: Shared, about: About) -> Var | None:
    """Returns a variable that is `1` when the subject fits; None when that was refused."""
    return value_condition("client_subject", SUBJECT, rule, shared, about)
