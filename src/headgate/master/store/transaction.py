"""A transaction: what a domain does with the database, always within a scope."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel
from sqlalchemy import Delete, Table, Update, delete, func, insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from headgate.master.store.errors import TakenError, TenancyError
from headgate.master.store.quotas import Desk
from headgate.master.store.scope import MASTER, Query, Scope, bounded, owned

View = TypeVar("View", bound=BaseModel)
Row = TypeVar("Row")

GATED = {"headgate_gated": True}
"""Marks a statement that passed the gate; the engine refuses all others."""


class Transaction:
    """Statements of one transaction; each is bounded to the scope."""

    def __init__(self, connection: AsyncConnection, scope: Scope) -> None:
        self._connection = connection
        self.scope = scope
        self.quotas = Desk(connection, scope)

    def within(self, scope: Scope) -> "Transaction":
        """Returns the same transaction for another scope; for the master's own work only."""
        return Transaction(self._connection, scope)

    def as_master(self) -> "Transaction":
        """Returns the same transaction, not bounded to a tenant; for identity and upkeep."""
        return self.within(MASTER)

    async def all(self, view: type[View], query: Query) -> list[View]:
        """Returns the rows of a query, as the view."""
        result = await self._connection.execute(bounded(query, self.scope), execution_options=GATED)
        names = tuple(result.keys())
        return [view.model_validate(dict(zip(names, row, strict=True))) for row in result]

    async def tuples(
        self, row: Callable[..., Row], query: Query, **parameters: object
    ) -> list[Row]:
        """Returns the rows of a query, each made of its columns in their order, unchecked: many of
        them cost a fraction of what `all` takes."""
        result = await self._connection.execute(
            bounded(query, self.scope), parameters, execution_options=GATED
        )
        return [row(*one) for one in result]

    async def first(self, view: type[View], query: Query) -> View | None:
        """Returns the first row of a query, or None."""
        found = await self.all(view, query.limit(1))
        return found[0] if found else None

    async def find(
        self, view: type[View], source: Table, *where: ColumnElement[bool]
    ) -> View | None:
        """Returns the first row of the table that fulfils the conditions, or None."""
        return await self.first(view, columns_of(source, view).where(*where))

    async def count(self, source: Table, *where: ColumnElement[bool]) -> int:
        """Returns how many rows of the table fulfil the conditions."""
        query: Query = select(func.count()).select_from(source).where(*where)  # type: ignore[assignment]
        result = await self._connection.execute(bounded(query, self.scope), execution_options=GATED)
        value = result.scalar()
        return value if isinstance(value, int) else 0

    async def texts(self, query: Query) -> list[str]:
        """Returns the first column of a query's rows, which holds texts."""
        result = await self._connection.execute(bounded(query, self.scope), execution_options=GATED)
        return [str(value) for value in result.scalars()]

    async def insert(self, source: Table, **values: object) -> None:
        """Adds a row; its owner is the scope's.

        Raises TakenError, or QuotaError; then the transaction must end.
        """
        row = owned(source, values, self.scope)
        await self.quotas.require_room(source, row)
        statement = insert(source).values(**row)
        try:
            await self._connection.execute(statement, execution_options=GATED)
        except IntegrityError as error:
            raise TakenError(source.name) from error

    async def insert_absent(self, source: Table, **values: object) -> None:
        """Adds a row unless there is one with its unique values, also one under way."""
        _refuse_counted(source)
        row = owned(source, values, self.scope)
        is_sqlite = self._connection.dialect.name == "sqlite"
        statement = (sqlite if is_sqlite else postgresql).insert(source).values(**row)
        await self._connection.execute(statement.on_conflict_do_nothing(), execution_options=GATED)

    async def insert_all(self, source: Table, rows: Sequence[dict[str, object]]) -> None:
        """Adds rows; their owner is the scope's."""
        _refuse_counted(source)
        if rows:
            await self._connection.execute(
                insert(source),
                [owned(source, row, self.scope) for row in rows],
                execution_options=GATED,
            )

    async def change(self, statement: Update | Delete) -> int:
        """Carries out an update or a removal; returns how many rows it found."""
        # Two branches, as the gate's types are two.
        if isinstance(statement, Update):
            statement = bounded(statement, self.scope)
        else:
            statement = bounded(statement, self.scope)
        result = await self._connection.execute(statement, execution_options=GATED)
        return int(result.rowcount)

    async def change_all(self, statement: Update, rows: Sequence[dict[str, object]]) -> None:
        """Carries out one update for each row of values of the statement's parameters."""
        if rows:
            statement = bounded(statement, self.scope)
            await self._connection.execute(statement, rows, execution_options=GATED)

    async def forget(self, source: Table, *where: ColumnElement[bool], most: int) -> int:
        """Removes at most so many rows that fulfil the conditions, for upkeep; returns how many."""
        key = source.primary_key.columns[0]
        return await self.as_master().change(
            delete(source).where(key.in_(select(key).where(*where).limit(most)))
        )


def columns_of(source: Table, view: type[BaseModel]) -> Query:
    """Returns a query of the table's columns that the view names."""
    return select(*(source.c[name] for name in view.model_fields if name in source.c))


def _refuse_counted(source: Table) -> None:
    if source.info.get("counted"):
        raise TenancyError(f"rows of {source.name} have a quota; add them with `insert`")
