"""Finds which certificate the TLS of a listener asks its clients for. Pure."""

from headgate.compile.clientauth import most_specific
from headgate.plan.objects import ClientAuth, Host, Listener, TlsPolicy
from headgate.plan.plan import Plan

_DEFAULT_POLICY = "default"
"""The policy of listeners that name none."""


class ClientAuths:
    """The demands of the TLS policies of a plan on clients. Immutable."""

    def __init__(self, plan: Plan) -> None:
        self._policies: dict[str, ClientAuth | None] = {}
        self._hosts: dict[str, Host] = {}
        for key, entry in plan.objects.items():
            if key.kind not in ("tls_policy", "host"):
                continue
            value = entry.value
            if isinstance(value, TlsPolicy):
                self._policies[key.name] = value.client_auth
            elif isinstance(value, Host):
                self._hosts[key.name] = value
        self._certified = {name for name, one in self._hosts.items() if one.certificates}

    def asked(self, listener: Listener, sni: str | None) -> ClientAuth | None:
        """Returns what a client must show that asks for this name and gets a certificate; None if
        the listener asks for nothing, or has no TLS.

        The core chooses in the same way: a host's policy goes with a certificate of its own or the
        listener's default one, and that of the listener with everything else.
        """
        tls = listener.tls
        if tls is None:
            return None
        hosts = self._hosts.keys() if tls.default_certificate else self._certified
        host = most_specific(sni, hosts) if sni is not None else None
        own = self._hosts[host].tls_policy if host is not None else None
        return self._policies.get(own or tls.policy or _DEFAULT_POLICY)
