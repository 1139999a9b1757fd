"""Where clients send credentials, by the middlewares of a plan, and what logs hide of it."""

from pathlib import PurePath

from memory_files import MemoryFiles

from headgate.compile.compiler import Compiler
from headgate.compile.credentials import credential_names, hidden_parameters
from headgate.features.middleware.api_key.spec import ApiKeyNode
from headgate.features.middleware.jwt.spec import JwtNode
from headgate.plan.middleware import Middleware, MiddlewareUse, Redirect
from headgate.plan.objects import Action, Host, Route
from headgate.plan.plan import entry, plan_of
from headgate.plan.settings import Redaction, Settings

BASE = """
[node]
redact_query = %s
[listeners.web]
address = "127.0.0.1:8000"
default = true
[routes.all]
respond = { status = 204 }
"""
SUM = "sha256:" + "0" * 64


def test_named_and_inline_middlewares_say_where_they_look() -> None:
    by_header = ApiKeyNode(clients={}, header="x-shop")
    by_query = JwtNode(keys="{}", query="ticket")
    by_cookie = ApiKeyNode(clients={}, cookie="who")
    plan = plan_of(
        [
            entry("middleware", "shop", Middleware(api_key=by_header)),
            entry("middleware", "who", Middleware(api_key=by_cookie)),
            entry("host", "a.example", Host(middlewares=(MiddlewareUse(jwt=by_query),))),
            entry(
                "route",
                "all",
                Route(
                    hosts=("*",),
                    listeners=("web",),
                    action=Action(upstream="app"),
                    middlewares=(
                        MiddlewareUse(use="shop"),
                        MiddlewareUse(redirect=Redirect(status=301)),
                    ),
                ),
            ),
        ]
    )
    assert credential_names(plan) == {"x-shop", "ticket"}
    assert credential_names(plan_of([])) == frozenset()


def hidden(compiler: Compiler, text: str, names: str = "[]") -> Redaction:
    loaded = compiler.load([PurePath("a.toml")], MemoryFiles({"a.toml": BASE % names + text}), {})
    assert loaded.plan is not None, [str(one) for one in loaded.errors]
    (settings,) = (e.value for e in loaded.plan.objects.values() if isinstance(e.value, Settings))
    assert settings.redaction.query == hidden_parameters(loaded.plan)
    return settings.redaction


def test_logs_hide_what_the_node_says_and_what_middlewares_ask_for() -> None:
    compiler = Compiler()
    assert "access_token" in hidden(compiler, "", '["access_token"]').query
    assert hidden(compiler, "", '"Token"') == Redaction(("token",))
    assert hidden(compiler, "") == Redaction()
    keys = f'keys = {{ ann = ["{SUM}"] }}'
    named = f'[middlewares.shop]\napi_key = {{ query = "Ticket", {keys} }}\n'
    assert hidden(compiler, named, '["a"]') == Redaction(("a", "ticket"))
    of_host = f'[hosts."a.example"]\nmiddlewares = [{{ api_key = {{ query = "k", {keys} }} }}]\n'
    assert hidden(compiler, named + of_host) == Redaction(("k", "ticket"))
    assert hidden(compiler, of_host) == Redaction(("k",))
    by_header = f'[middlewares.shop]\napi_key = {{ header = "referer", {keys} }}\n'
    assert hidden(compiler, by_header) == Redaction((), ("referer",))
    assert hidden(compiler, "") == Redaction()
