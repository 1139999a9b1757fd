"""Data planes with certificates of the fleet's CA, and the join tokens that make them."""

import sqlalchemy as sa
from alembic import op

revision = "0020_data_planes"
down_revision = "0019_sets"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the table, and to join tokens the agent whose data plane their holder becomes."""
    of = sa.Column("data_plane_of", sa.String(length=26), nullable=True)
    op.add_column("join_tokens", of)
    op.create_table(
        "data_planes",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("program", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=26), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("certificate_serial", sa.String(length=64), nullable=False),
        sa.Column("certificate_issuer", sa.String(length=80), nullable=False),
        sa.Column("held_certificate", sa.String(length=64), nullable=True),
        sa.Column("trusts", sa.Text(), nullable=False),
        sa.Column("certificate_expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_planes")),
    )
    for name in ("organisation_id", "workspace_id"):
        op.create_index(op.f(f"ix_data_planes_{name}"), "data_planes", [name], unique=False)
