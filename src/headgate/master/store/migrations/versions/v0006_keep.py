"""The state of an agent's certificate, for rotation and revocation; the throttle that masters
share; the certificates that nodes serve with."""

import sqlalchemy as sa
from alembic import op

revision = "0006_keep"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the columns and the table."""
    for column in (
        sa.Column("certificate_serial", sa.String(length=64), nullable=True),
        sa.Column("certificate_issuer", sa.String(length=80), nullable=True),
        sa.Column("held_certificate", sa.String(length=64), nullable=True),
        sa.Column("trusts", sa.Text(), nullable=True),
        sa.Column("revoked_serials", sa.Text(), nullable=True),
        sa.Column("approved_until", sa.BigInteger(), nullable=True),
        sa.Column("addresses", sa.Text(), nullable=True),
    ):
        op.add_column("agents", column)
    op.create_table(
        "throttles",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_throttles")),
    )
    op.create_index(op.f("ix_throttles_last_at"), "throttles", ["last_at"], unique=False)
    op.create_table(
        "served_certificates",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("agent", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("names", sa.Text(), nullable=False),
        sa.Column("issuer", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_served_certificates")),
    )
    for name in ("agent", "organisation_id", "workspace_id"):
        op.create_index(
            op.f(f"ix_served_certificates_{name}"), "served_certificates", [name], unique=False
        )
