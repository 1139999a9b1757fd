"""`affinity` of an upstream: the cookie that keeps a client at its endpoint."""

from pydantic import Field

from headgate.model.cookie import CookieName, CookieOptions


class Affinity(CookieOptions):
    """A cookie that keeps a client at the endpoint that answered it first.

    The first answer sets it, with a name for the endpoint that says nothing of its address. While
    the endpoint takes requests it gets those of the client, also with weight 0, which gets no new
    clients; else `balance` chooses another one, and the answer sets the cookie again. With `keys`
    its values are signed, so that no client can choose its endpoint; without, they are not.
    """

    cookie: CookieName = Field(description="The name of the cookie; nothing else should set it.")
