"""Searches of logs at agents of other masters, and what these found; both for seconds."""

import sqlalchemy as sa
from alembic import op

revision = "0017_log_asks"
down_revision = "0016_failing"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the searches and the answers."""
    op.create_table(
        "log_asks",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("agents", sa.Text(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_asks")),
    )
    op.create_table(
        "log_answers",
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("ask", sa.String(length=26), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_log_answers")),
    )
    op.create_index(op.f("ix_log_answers_ask"), "log_answers", ["ask"], unique=False)
