"""The reports of agents, as events."""

import sqlalchemy as sa
from alembic import op

revision = "0010_reports"
down_revision = "0009_lists"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds what an event says, and what was told last of an agent's session."""
    op.add_column("events", sa.Column("detail", sa.Text(), nullable=True))
    op.add_column(
        "agents", sa.Column("told", sa.String(length=16), nullable=False, server_default="")
    )
