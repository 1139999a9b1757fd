"""Makes requests out of a plan's routes, and says which of them another plan sends elsewhere."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from headgate.compile.routing import Question, Routing
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import ObjectKey
from headgate.plan.objects import Listener, Match, Route, ValueMatch
from headgate.plan.plan import Plan

MOST: Final = 1_000
_PER_ROUTE: Final = 8
_NOWHERE: Final = "404: no route takes it"


class Moved(NamedTuple):
    """A request that goes elsewhere."""

    question: Question
    before: str
    after: str


def made(plan: Plan) -> list[Question]:
    """Returns requests that the plan's routes are for, each once, `MOST` at most.

    Expressions are not turned into texts: where a match has one, it yields no request.
    """
    listeners = {
        str(key.name): entry.value
        for key, entry in plan.objects.items()
        if key.kind == "listener" and isinstance(entry.value, Listener)
    }
    found: dict[tuple[object, ...], Question] = {}
    for key, entry in sorted(plan.objects.items()):
        if key.kind != "route" or not isinstance(entry.value, Route):
            continue
        for question in _of_route(entry.value, listeners):
            marks = (question.listener, question.method, question.url, str(question.headers))
            found.setdefault(marks, question)
            if len(found) >= MOST:
                return list(found.values())
    return list(found.values())


def moved(before: Routing, after: Routing, asked: Iterable[Question]) -> list[Moved]:
    """Returns the requests that `after` sends elsewhere than `before`."""
    found = []
    for question in asked:
        old, new = where(before, question), where(after, question)
        if old != new:
            found.append(Moved(question, old, new))
    return found


def where(routing: Routing, question: Question) -> str:
    """Returns where a request goes: its upstream, the route that answers it, or why to none."""
    try:
        request = routing.request(question)
        if request.refusal is not None:
            return f"{request.refusal.status}: {request.refusal.detail}"
        found = routing.find(request)
    except (Invalid, ValueError) as error:
        return str(error)
    return _NOWHERE if found is None else _aim(routing.plan, found.route)


def _aim(plan: Plan, name: str) -> str:
    route = plan.objects[ObjectKey("route", ObjectName(name))].value
    if isinstance(route, Route) and route.action.upstream is not None:
        return f"upstream {route.action.upstream}"
    if isinstance(route, Route) and route.action.split is not None:
        parts = (f"{part.upstream} ({part.weight})" for part in route.action.split)
        return f"upstreams {', '.join(parts)}"
    return f"route {name}"


def _of_route(route: Route, listeners: dict[str, Listener]) -> Iterator[Question]:
    """Yields at most `_PER_ROUTE` requests: for each listener, host and match."""
    count = 0
    for name in route.listeners:
        listener = listeners.get(name)
        if listener is None:
            continue
        for host in route.hosts:
            for match in route.match or (Match(),):
                question = _of_match(match, name, listener, host)
                if question is None:
                    continue
                yield question
                count += 1
                if count >= _PER_ROUTE:
                    return


def _of_match(match: Match, name: str, listener: Listener, host: str) -> Question | None:
    path = "/" if match.path is None else match.path.exact or match.path.prefix
    query = _sent(match.query)
    headers = _sent(match.headers)
    if path is None or match.client_subject or match.client_certificate is not None:
        return None
    if cookies := _sent(match.cookies):
        line = None if None in cookies.values() else _line(cookies)
        headers["cookie"] = None if "cookie" in match.headers else line
    if any(value is None for value in (*query.values(), *headers.values())):
        return None
    scheme = "http" if listener.tls is None else "https"
    shown = "any.example" if host == "*" else host.replace("*", "any", 1)
    asked = "&".join(f"{key}={value}" if value else key for key, value in query.items())
    return Question(
        url=f"{scheme}://{shown}{path}{'?' if asked else ''}{asked}",
        method=match.methods[0] if match.methods else "GET",
        headers={key: value for key, value in headers.items() if value is not None},
        client=match.client[0].partition("/")[0] if match.client else "127.0.0.1",
        listener=name,
    )


def _line(cookies: Mapping[str, str | None]) -> str:
    return "; ".join(f"{name}={value}" for name, value in cookies.items())


def _sent(rules: Mapping[str, ValueMatch]) -> dict[str, str | None]:
    """Returns what a request must have to fulfil the conditions, by name; None for expressions."""
    return {name: _text(rule) for name, rule in rules.items() if not rule.absent}


def _text(value: ValueMatch) -> str | None:
    """Returns a value that fulfils the condition; None for an expression."""
    if value.present:
        return "x"
    return value.exact if value.exact is not None else value.prefix
