"""The rows of data planes: one at most for each agent."""

from typing import Final

from pydantic import BaseModel
from sqlalchemy import Column, String, Text, delete, update

from headgate.master.domains.data_planes.types import DataPlane
from headgate.master.store.schema import Tenancy, id_column, table, time_column
from headgate.master.store.transaction import Transaction, columns_of

DATA_PLANES: Final = table(
    "data_planes",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    Column("name", String(255), nullable=False),
    Column("program", String(64), nullable=False),
    id_column("token"),
    Column("addresses", Text, nullable=False),
    Column("key_hash", String(64), nullable=False),
    Column("certificate_serial", String(64), nullable=False),
    Column("certificate_issuer", String(80), nullable=False),
    Column("held_certificate", String(64), nullable=True),
    Column("trusts", Text, nullable=False),
    time_column("certificate_expires_at"),
    time_column("created_at"),
)


class DataPlaneRow(BaseModel):
    """A data plane as it is stored; `id` is that of its agent."""

    id: str
    organisation_id: str
    workspace_id: str
    name: str
    program: str
    token: str
    addresses: str
    """The networks from which it may come back once its certificate has expired."""
    key_hash: str
    certificate_serial: str
    """Of the certificate that was issued last."""
    certificate_issuer: str
    """The pin of the authority that issued it."""
    held_certificate: str | None
    """The serial number of the certificate with which it asked last."""
    trusts: str
    """The pins of the authorities that it was given with that certificate."""
    certificate_expires_at: int
    created_at: int

    def shown(self) -> DataPlane:
        """Returns it as clients see it."""
        return DataPlane(
            agent=self.id,
            name=self.name,
            program=self.program,
            created_at=self.created_at,
            certificate_serial=self.certificate_serial,
            certificate_expires_at=self.certificate_expires_at,
        )


async def find(tx: Transaction, agent_id: str) -> DataPlaneRow | None:
    """Returns the data plane of an agent of the scope."""
    return await tx.find(DataPlaneRow, DATA_PLANES, DATA_PLANES.c.id == agent_id)


async def listed(tx: Transaction, oldest_ms: int) -> list[DataPlaneRow]:
    """Returns the data planes whose certificates end after that time, by id."""
    query = columns_of(DATA_PLANES, DataPlaneRow)
    query = query.where(DATA_PLANES.c.certificate_expires_at > oldest_ms)
    return await tx.all(DataPlaneRow, query.order_by(DATA_PLANES.c.id))


async def put(tx: Transaction, values: dict[str, object]) -> None:
    """Makes this one the data plane of its agent, in place of the one before."""
    await remove(tx, str(values["id"]))
    await tx.insert(DATA_PLANES, **values)


async def change(tx: Transaction, agent_id: str, values: dict[str, object]) -> None:
    """Keeps what has become of a data plane."""
    await tx.change(update(DATA_PLANES).where(DATA_PLANES.c.id == agent_id).values(values))


async def remove(tx: Transaction, agent_id: str) -> int:
    """Removes the data plane of an agent; returns how many rows that were."""
    return await tx.change(delete(DATA_PLANES).where(DATA_PLANES.c.id == agent_id))
