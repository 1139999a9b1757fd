"""The tenant whose data a transaction may touch, and the one gate that keeps it to that.

Every statement passes `bounded`: it adds the tenant's condition to each table of a tenant, and
refuses what it cannot bound. The engine refuses statements that did not pass (database.py).
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from sqlalchemy import Delete, Select, Table, Update
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import FromClause, Join, SelectBase

from headgate.master.store.errors import TenancyError
from headgate.master.store.schema import Tenancy, tenancy_of


@dataclass(frozen=True, slots=True)
class Scope:
    """The tenant of a transaction: a workspace, an organisation with all of its workspaces, or
    the master itself."""

    organisation_id: str = ""
    workspace_id: str = ""
    is_master: bool = False


MASTER: Final = Scope(is_master=True)
"""The master's own work: identity, agents, upkeep. Nothing that a request names widens to it."""

Query = Select[tuple[object, ...]]
Statement = TypeVar("Statement", Query, Update, Delete)


def bounded(statement: Statement, scope: Scope) -> Statement:
    """Returns the statement, bounded to the rows of the scope; raises TenancyError."""
    found = _tables(statement)
    if scope.is_master:
        return statement
    if isinstance(statement, Select):
        _refuse_hidden(statement, found)
    elif len(found) > 1:
        raise TenancyError("a change of a tenant's rows names one table only")
    for one in found:
        statement = statement.where(*conditions(one, scope))
    return statement


def conditions(one: Table, scope: Scope) -> list[ColumnElement[bool]]:
    """Returns what rows of the table fulfil in this scope; raises TenancyError if it has none."""
    tenancy = tenancy_of(one)
    if tenancy is Tenancy.MASTER or not scope.organisation_id:
        raise TenancyError(f"the table {one.name} is not a tenant's, or the scope has no tenant")
    found: list[ColumnElement[bool]] = [one.c.organisation_id == scope.organisation_id]
    if tenancy is Tenancy.WORKSPACE and scope.workspace_id:
        found.append(one.c.workspace_id == scope.workspace_id)
    return found


def owned(one: Table, values: dict[str, object], scope: Scope) -> dict[str, object]:
    """Returns the values of a new row with its owner: the scope's, whatever they said."""
    tenancy = tenancy_of(one)
    if scope.is_master:
        return values
    if tenancy is Tenancy.MASTER or not scope.organisation_id:
        raise TenancyError(f"the table {one.name} is not a tenant's, or the scope has no tenant")
    owner: dict[str, object] = {"organisation_id": scope.organisation_id}
    if tenancy is Tenancy.WORKSPACE:
        if not scope.workspace_id:
            raise TenancyError(f"a row of {one.name} needs a workspace")
        owner["workspace_id"] = scope.workspace_id
    return values | owner


def _tables(statement: Query | Update | Delete) -> list[Table]:
    found: dict[str, Table] = {}
    for element in visitors.iterate(statement):
        if isinstance(element, Table):
            found[element.name] = element
    if not found:
        raise TenancyError("a statement without a table of ours")
    return list(found.values())


def _refuse_hidden(statement: Query, found: list[Table]) -> None:
    """Refuses tables that a condition on the whole statement would not bound."""
    if len(found) == 1 and _is_flat(statement, found[0]):
        return  # as almost always; to ask the statement for its sources takes far longer
    top: set[str] = set()
    for source in statement.get_final_froms():
        for element in visitors.iterate(source):
            if isinstance(element, Join) and (element.isouter or element.full):
                raise TenancyError("an outer join is not bounded by a condition")
            if isinstance(element, Select):
                raise TenancyError("a nested query is not bounded by a condition")
            if isinstance(element, Table):
                top.add(element.name)
    if hidden := {one.name for one in found} - top:
        raise TenancyError(f"a nested query of {sorted(hidden)} is not bounded by a condition")


def _is_flat(statement: Query, table: Table) -> bool:
    """Says whether the statement reads from the table alone, and nothing is nested in it."""
    own = (statement, table)
    return not any(
        isinstance(element, FromClause | SelectBase) and all(element is not one for one in own)
        for element in visitors.iterate(statement)
    )
