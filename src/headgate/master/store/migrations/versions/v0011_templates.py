"""Templates and virtual hosts."""

import sqlalchemy as sa
from alembic import op

revision = "0011_templates"
down_revision = "0010_reports"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    _table("templates", sa.Column("body", sa.Text(), nullable=False))
    _table(
        "virtual_hosts",
        sa.Column("template", sa.String(length=63), nullable=False),
        sa.Column("given", sa.Text(), nullable=False),
        sa.Column("fleets", sa.Text(), nullable=False),
        sa.Column("objects", sa.Text(), nullable=False),
    )


def _table(name: str, *columns: sa.Column[object]) -> None:
    op.create_table(
        name,
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        *columns,
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{name}")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f(f"uq_{name}_workspace_id_name")),
    )
    for column in ("organisation_id", "workspace_id"):
        op.create_index(op.f(f"ix_{name}_{column}"), name, [column], unique=False)
