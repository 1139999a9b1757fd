"""Resources that go to some fleets only."""

import sqlalchemy as sa
from alembic import op

revision = "0007_selection"
down_revision = "0006_keep"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the labels that choose fleets; what is there goes to every fleet, as before."""
    column = sa.Column("fleets", sa.Text(), nullable=False, server_default="{}")
    op.add_column("resources", column)
