"""Fleets, join tokens, agents, and the authority that issues their certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    _agents()
    _authorities()
    _fleets()
    _join_tokens()


def _agents() -> None:
    op.create_table(
        "agents",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("fleet", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("facts", sa.Text(), nullable=False),
        sa.Column("token", sa.String(length=26), nullable=False),
        sa.Column("key_hash", sa.String(length=64), nullable=False),
        sa.Column("certificate_expires_at", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("connected_at", sa.BigInteger(), nullable=True),
        sa.Column("seen_at", sa.BigInteger(), nullable=True),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("desired_id", sa.String(length=26), nullable=True),
        sa.Column("desired", sa.BigInteger(), nullable=True),
        sa.Column("rollout", sa.String(length=64), nullable=False),
        sa.Column("wave", sa.Integer(), nullable=False),
        sa.Column("held_scope", sa.String(length=128), nullable=False),
        sa.Column("offered", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged", sa.BigInteger(), nullable=True),
        sa.Column("applied", sa.BigInteger(), nullable=True),
        sa.Column("serving", sa.BigInteger(), nullable=True),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("effective_hash", sa.String(length=128), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agents")),
    )
    op.create_index(op.f("ix_agents_fleet"), "agents", ["fleet"], unique=False)
    op.create_index(op.f("ix_agents_organisation_id"), "agents", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_agents_token"), "agents", ["token"], unique=False)
    op.create_index(op.f("ix_agents_workspace_id"), "agents", ["workspace_id"], unique=False)


def _authorities() -> None:
    op.create_table(
        "authorities",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("certificate", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("is_issuing", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_authorities")),
    )


def _fleets() -> None:
    op.create_table(
        "fleets",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("engine", sa.String(length=16), nullable=False),
        sa.Column("certificate_hours", sa.Integer(), nullable=False),
        sa.Column("most_agents", sa.Integer(), nullable=False),
        sa.Column("revision_id", sa.String(length=26), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fleets")),
        sa.UniqueConstraint("workspace_id", "name", name=op.f("uq_fleets_workspace_id_name")),
    )
    op.create_index(op.f("ix_fleets_organisation_id"), "fleets", ["organisation_id"], unique=False)
    op.create_index(op.f("ix_fleets_workspace_id"), "fleets", ["workspace_id"], unique=False)


def _join_tokens() -> None:
    op.create_table(
        "join_tokens",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("fleet", sa.String(length=26), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("uses", sa.Integer(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.Column("addresses", sa.Text(), nullable=False),
        sa.Column("created_by", sa.String(length=26), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_join_tokens")),
        sa.UniqueConstraint("digest", name=op.f("uq_join_tokens_digest")),
    )
    op.create_index(op.f("ix_join_tokens_fleet"), "join_tokens", ["fleet"], unique=False)
    op.create_index(
        op.f("ix_join_tokens_organisation_id"), "join_tokens", ["organisation_id"], unique=False
    )
    op.create_index(
        op.f("ix_join_tokens_workspace_id"), "join_tokens", ["workspace_id"], unique=False
    )
