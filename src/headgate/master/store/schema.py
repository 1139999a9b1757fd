"""The common parts of all tables: the tenancy of their rows, and the columns that all share."""

from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import BigInteger, Column, MetaData, String, Table
from sqlalchemy.schema import SchemaItem

from headgate.master.store.errors import TenancyError

ID_LENGTH: Final = 26

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Tenancy(StrEnum):
    """The owner of the rows of a table."""

    MASTER = "master"
    """The whole master's: only its own work reads them (users, keys)."""
    ORGANISATION = "organisation"
    """An organisation's: each row has its id."""
    WORKSPACE = "workspace"
    """A workspace's: each row has its id and that of the organisation."""


class Counted(NamedTuple):
    """Rows that count against a quota of their workspace.

    `only` are the values of those that count, `ended` is the column that is set once one does not
    count any more.
    """

    name: str
    workspace: str = "workspace_id"
    only: tuple[tuple[str, str], ...] = ()
    ended: str | None = None


def table(
    name: str,
    tenancy: Tenancy,
    *columns: SchemaItem,
    counted: Counted | None = None,
    is_by_owner: bool = True,
) -> Table:
    """Returns a table whose rows belong to a tenant, with the columns that say to whom.

    `is_by_owner`: these have an index each; without, queries must name what another index has.
    """
    owner: list[Column[str]] = []
    if tenancy is not Tenancy.MASTER:
        owner.append(id_column("organisation_id", is_indexed=is_by_owner))
    if tenancy is Tenancy.WORKSPACE:
        owner.append(id_column("workspace_id", is_indexed=is_by_owner))
    return Table(name, METADATA, *owner, *columns, info={"tenancy": tenancy, "counted": counted})


def tenancy_of(one: Table) -> Tenancy:
    """Returns whose rows the table holds; a table that does not say it is a fault."""
    found = one.info.get("tenancy")
    if not isinstance(found, Tenancy):
        raise TenancyError(f"the table {one.name} does not say whose rows it holds")
    return found


def id_column(
    name: str, *, is_key: bool = False, is_indexed: bool = False, is_optional: bool = False
) -> Column[str]:
    """Returns a column for an id of ours."""
    return Column(
        name, String(ID_LENGTH), primary_key=is_key, index=is_indexed or None, nullable=is_optional
    )


def time_column(name: str, *, is_optional: bool = False) -> Column[int]:
    """Returns a column for a time in milliseconds since 1970 (UTC)."""
    return Column(name, BigInteger, nullable=is_optional)


def version_column() -> Column[int]:
    """Returns the column that counts the changes of a row, which `If-Match` compares."""
    return Column("version", BigInteger, nullable=False)
