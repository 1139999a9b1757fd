"""The program that each agent runs, the one that it is to run, and the rollouts of programs."""

import sqlalchemy as sa
from alembic import op

revision = "0013_upgrades"
down_revision = "0012_metrics"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the columns; agents say what they run when they come back."""
    for column in (
        sa.Column("program", sa.String(length=64), nullable=True),
        sa.Column("can_upgrade", sa.Boolean(), nullable=True),
        sa.Column("wanted_program", sa.String(length=64), nullable=True),
        sa.Column("former_program", sa.String(length=64), nullable=True),
        sa.Column("upgrade_rollout", sa.String(length=26), nullable=True),
        sa.Column("upgrade_step", sa.Integer(), nullable=True),
        sa.Column("upgrade_order", sa.BigInteger(), nullable=True),
        sa.Column("upgrade_state", sa.String(length=8), nullable=True),
        sa.Column("upgrade_error", sa.Text(), nullable=True),
    ):
        op.add_column("agents", column)
    op.add_column("rollouts", sa.Column("program", sa.String(length=64), nullable=True))
