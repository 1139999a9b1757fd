"""Lists the small faults for the functions of a Python file. Pure; runs nothing.

The faults are those of cargo-mutants as far as Python has them: operators, conditions, small
constants, results, and missing statements. It leaves texts, logging, assertions, annotations and
defaults of parameters alone: tests that pin them would only repeat them.
"""

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_SWAPS: Final[dict[type[ast.AST], type[ast.AST]]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Add,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_SHOWN: Final = 80
"""The first characters of a long expression name it."""


@dataclass(frozen=True)
class Mutant:
    """One fault: `text` replaces bytes `start` to `end` of a file."""

    file: str
    function: str
    mutation: str
    start: int = 0
    end: int = 0
    text: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Names the mutant, also where lines above it come and go."""
        return self.file, self.function, self.mutation

    def __str__(self) -> str:
        return f"{self.file}: {self.function}: {self.mutation}"


def mutants_of(file: str, source: str) -> list[Mutant]:
    """Returns every mutant of the functions of a source, in its order."""
    encoded = source.encode()
    lines = [0]
    for line in encoded.splitlines(keepends=True):
        lines.append(lines[-1] + len(line))
    found: list[Mutant] = []
    seen: Counter[tuple[str, str]] = Counter()
    for function, node, text in _faults(ast.parse(source), "", is_inside=False):
        start = lines[node.lineno - 1] + node.col_offset
        end = lines[(node.end_lineno or node.lineno) - 1] + (node.end_col_offset or 0)
        before = " ".join(encoded[start:end].decode().split())
        mutation = f"replace `{before[:_SHOWN]}` with `{text[:_SHOWN]}`"
        seen[function, mutation] += 1
        if (nth := seen[function, mutation]) > 1:
            mutation += f" #{nth}"
        found.append(Mutant(file, function, mutation, start, end, text))
    return found


def altered(source: str, mutant: Mutant) -> str:
    """Returns the source with the fault in it."""
    encoded = source.encode()
    return (encoded[: mutant.start] + mutant.text.encode() + encoded[mutant.end :]).decode()


Place = ast.expr | ast.stmt


def _faults(node: ast.AST, function: str, *, is_inside: bool) -> Iterator[tuple[str, Place, str]]:
    """Yields function, place and new text of each fault in a tree."""
    if isinstance(node, ast.JoinedStr | ast.Assert) or _is_logging(node):
        return
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        function = f"{function}.{node.name}" if function else node.name
        is_inside = is_inside or not isinstance(node, ast.ClassDef)
        for part in node.body:
            yield from _faults(part, function, is_inside=is_inside)
        return
    if is_inside:
        for place, text in (*_in_place_of(node), *_negated(node)):
            yield function, place, text
    for name, value in ast.iter_fields(node):
        if name == "annotation" or (isinstance(node, ast.Lambda) and name == "args"):
            continue
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, ast.AST):
                yield from _faults(part, function, is_inside=is_inside)


def _is_logging(node: ast.AST) -> bool:
    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)):
        return False
    return ast.unparse(node.value.func).split(".")[0].lstrip("_") in {"log", "logger"}


def _in_place_of(node: ast.AST) -> Iterator[tuple[Place, str]]:
    """Yields what an expression or a statement is replaced with."""
    match node:
        case ast.Compare(ops=[op]) if type(op) in _SWAPS:
            yield node, f"({_with(node, 'ops', [_SWAPS[type(op)]()])})"
        case ast.BoolOp(op=op) | ast.BinOp(op=op) if type(op) in _SWAPS:
            yield node, f"({_with(node, 'op', _SWAPS[type(op)]())})"
        case ast.AugAssign(op=op) if type(op) in _SWAPS:
            yield node, _with(node, "op", _SWAPS[type(op)]())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, f"({ast.unparse(operand)})"
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=0 | 1 as value):
            yield node, str(value + 1)
        case ast.Return(value=ast.expr() as result):
            yield from ((node, text) for text in _other_results(result))
        case ast.Expr(value=ast.Call() | ast.Await()) | ast.Raise() | ast.Delete():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Break():
            yield node, "continue"
        case ast.Continue():
            yield node, "break"


def _other_results(result: ast.expr) -> list[str]:
    match result:
        case ast.Constant(value=""):
            return ['return "mutant"']  # None would be as false as it is
        case ast.Constant(value=None | False | True | 0 | 1):
            return []  # the constant itself is altered
    return ["return None"]


def _negated(node: ast.AST) -> Iterator[tuple[Place, str]]:
    """Yields conditions that no other fault negates."""
    match node:
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            tests = [test]
        case ast.comprehension(ifs=tests):
            pass
        case ast.match_case(guard=ast.expr() as test):
            tests = [test]
        case _:
            return
    for test in tests:
        if not isinstance(test, ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Constant):
            yield test, f"(not ({ast.unparse(test)}))"


def _with(node: Place, field: str, value: object) -> str:
    other = copy.copy(node)
    setattr(other, field, value)
    return ast.unparse(other)
