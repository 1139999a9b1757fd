"""Makes config objects out of a template and values. Pure.

A value takes the place of a text, or of a part of one, in the parsed document. It is never parsed,
and never looked through for further parameters: it cannot become a key, a table or another object.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Final

from headgate.features import syntax
from headgate.kernel.errors import Invalid
from headgate.master.api.problems import Fault, ProblemError
from headgate.master.domains.resources.parameters import PARAMETER
from headgate.master.domains.resources.service import VERBATIM
from headgate.master.domains.resources.types import MOST_OF_A_NAME, Change
from headgate.master.domains.templates.budget import Budget
from headgate.master.domains.templates.types import NewTemplate, Parameter, Value
from headgate.model.config import object_name

_LONGEST: Final = 8_192
_VALUE: Final = 16
"""So many characters count for each value beside its text: it takes memory as well."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def check(template: NewTemplate) -> None:
    """Raises ProblemError with everything that is wrong with a template."""
    faults = [*_wrong_kinds(template), *_wrong_parameters(template), *_wrong_places(template)]
    if faults:
        _refuse(faults)


def values_of(
    template: NewTemplate, given: Mapping[str, Value], at: str = "$.values"
) -> dict[str, Value]:
    """Returns a value for each parameter; raises ProblemError with every fault. A parameter of
    nodes stays the text that names it."""
    known = ", ".join(sorted(template.parameters)) or "none"
    faults = [
        Fault(path=f"{at}.{name}", detail="the template has no such parameter", allowed=known)
        for name in sorted(given.keys() - template.parameters.keys())
    ]
    found: dict[str, Value] = {}
    is_of_nodes = any(one.per_node for one in template.parameters.values())
    for name, parameter in template.parameters.items():
        value = given.get(name, parameter.default)
        if parameter.per_node:
            if name in given and (wrong := wrong_with(parameter, given[name])) is not None:
                faults.append(Fault(path=f"{at}.{name}", detail=wrong[0], allowed=wrong[1]))
            found[name] = "{{ " + name + " }}"
            continue
        if value is None:
            faults.append(
                Fault(path=f"{at}.{name}", detail="this value is missing", allowed="write it")
            )
            continue
        wrong = wrong_with(parameter, value)
        if wrong is None and is_of_nodes and "{{" in str(value):
            wrong = ("values beside those of nodes have no `{{`", "leave it out")
        if wrong is not None:
            faults.append(Fault(path=f"{at}.{name}", detail=wrong[0], allowed=wrong[1]))
        found[name] = value
    if faults:
        _refuse(faults)
    return found


def check_nodes(template: NewTemplate, nodes: Mapping[str, Mapping[str, Value]]) -> None:
    """Raises ProblemError with everything that is wrong with the values of nodes."""
    own = {name: one for name, one in template.parameters.items() if one.per_node}
    known = ", ".join(sorted(own)) or "none"
    faults = []
    for node, values in nodes.items():
        for name, value in values.items():
            at = f"$.nodes[{json.dumps(node)}].{name}"
            wrong = wrong_with(own[name], value) if name in own else None
            if name not in own:
                wrong = ("the template has no such parameter with `per_node`", known)
            if wrong is not None:
                faults.append(Fault(path=at, detail=wrong[0], allowed=wrong[1]))
    if faults:
        _refuse(faults)


def rendered(
    template: NewTemplate,
    values: Mapping[str, Value],
    fleets: Mapping[str, str],
    budget: Budget,
) -> list[Change]:
    """Returns the objects of a virtual host; raises ProblemError if a text becomes too long, or
    all become too much."""
    found = []
    for index, one in enumerate(template.objects):
        budget.take_object()
        found.append(
            Change.model_construct(
                kind=one.kind,
                name=_name(f"$.objects[{index}].name", put_in(one.name, values, budget)),
                spec=put_in(one.spec, values, budget),
                fleets=dict(fleets),
            )
        )
    return found


def put_in(node: object, values: Mapping[str, Value], budget: Budget) -> object:
    """Returns a spec, or a part of it, with values in the place of the parameters."""
    budget.take(_VALUE)
    if isinstance(node, dict):
        budget.take(sum(map(len, node)))
        return {key: put_in(one, values, budget) for key, one in node.items()}
    if isinstance(node, list):
        return [put_in(one, values, budget) for one in node]
    if not isinstance(node, str):
        return node
    size = len(node)
    for named in PARAMETER.finditer(node):
        size += len(_text(values[named[1]])) - len(named[0])
    budget.take(size)
    if (whole := PARAMETER.fullmatch(node)) is not None:
        return values[whole[1]]
    if size > _LONGEST:
        _refuse([Fault(path="$", detail="a text becomes too long", allowed=f"at most {_LONGEST}")])
    return PARAMETER.sub(lambda found: _text(values[found[1]]), node)


def _name(path: str, value: object) -> str:
    name = str(value)
    if len(name) > MOST_OF_A_NAME:
        _refuse(
            [
                Fault(
                    path=path, detail="a name becomes too long", allowed=f"at most {MOST_OF_A_NAME}"
                )
            ]
        )
    return name


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wrong_parameters(template: NewTemplate) -> Iterator[Fault]:
    for name, one in template.parameters.items():
        at = f"$.parameters.{name}"
        if (one.type == "enum") != bool(one.values):
            yield Fault(path=f"{at}.values", detail="these are for an enum", allowed="write both")
        elif one.label is not None and not one.per_node:
            yield Fault(path=f"{at}.label", detail="this is for `per_node`", allowed="write both")
        elif one.minimum > one.maximum:
            yield Fault(path=f"{at}.minimum", detail="it is above the maximum", allowed="less")
        elif one.default is not None and (wrong := wrong_with(one, one.default)) is not None:
            yield Fault(path=f"{at}.default", detail=wrong[0], allowed=wrong[1])


def _wrong_kinds(template: NewTemplate) -> Iterator[Fault]:
    for index, one in enumerate(template.objects):
        if one.kind in VERBATIM:
            what = f"{one.kind} is text that nginx runs as it is, which has no parameters"
            allowed = "write it beside the template"
            yield Fault(path=f"$.objects[{index}].kind", detail=what, allowed=allowed)


def _wrong_places(template: NewTemplate) -> Iterator[Fault]:
    for index, one in enumerate(template.objects):
        for path, text, is_key in _texts(f"$.objects[{index}]", one.model_dump()):
            if is_key and "{{" in text:
                what = "a key cannot have a parameter"
                yield Fault(path=path, detail=what, allowed="write the key itself")
                continue
            for name in PARAMETER.findall(text):
                if name not in template.parameters:
                    what = f'there is no parameter "{name}"'
                    yield Fault(path=path, detail=what, allowed="declare it in `parameters`")
                elif template.parameters[name].per_node and path == f"$.objects[{index}].name":
                    what = f'"{name}" has a value for each node, and a name is the same for all'
                    yield Fault(path=path, detail=what, allowed="use another parameter")
            if "{{" in PARAMETER.sub("", text):
                what = "this is not a parameter"
                yield Fault(path=path, detail=what, allowed="write {{ name }}")


def _texts(path: str, node: object) -> Iterator[tuple[str, str, bool]]:
    """Yields every text with its path, and whether it is a key."""
    if isinstance(node, dict):
        for key, one in node.items():
            yield path, key, True
            yield from _texts(f"{path}.{key}", one)
    elif isinstance(node, list):
        for index, one in enumerate(node):
            yield from _texts(f"{path}[{index}]", one)
    elif isinstance(node, str):
        yield path, node, False


def wrong_with(parameter: Parameter, value: Value) -> tuple[str, str] | None:
    """Returns what is wrong with a value, and what to write instead; None if nothing is."""
    match parameter.type:
        case "integer":
            low, high = parameter.minimum, parameter.maximum
            is_right = isinstance(value, int) and not isinstance(value, bool)
            if not is_right or not low <= int(value) <= high:
                return "this is not such a number", f"write a whole number from {low} to {high}"
        case "boolean":
            if not isinstance(value, bool):
                return "this is neither true nor false", "write true or false"
        case "enum":
            if value not in parameter.values or not isinstance(value, str):
                return "this is none of the values", f"write {' or '.join(parameter.values)}"
        case _:
            return _wrong_text(parameter, value)
    return None


def _wrong_text(parameter: Parameter, value: Value) -> tuple[str, str] | None:
    if not isinstance(value, str):
        return "this is not a text", "write a text"
    try:
        if parameter.type == "host":
            syntax.host_name(value)
        if parameter.type == "upstream":
            object_name(value)
    except Invalid as wrong:
        return wrong.what, wrong.allowed
    if len(value) > parameter.longest:
        return f"{len(value)} characters are too many", f"at most {parameter.longest}"
    if _CONTROL.search(value) or "$" in value:
        return "a value has no control characters and no `$`", "leave them out"
    return None


def _refuse(faults: list[Fault]) -> None:
    detail = "; ".join(f"{one.path}: {one.detail}" for one in faults[:3])
    raise ProblemError(422, "invalid", detail, errors=faults)
