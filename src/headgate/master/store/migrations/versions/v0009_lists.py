"""Indexes in the order of lists."""

from alembic import op

revision = "0009_lists"
down_revision = "0008_quotas"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the indexes."""
    for table, columns in (
        ("resources", ["workspace_id", "kind", "path"]),
        ("agents", ["workspace_id", "id"]),
    ):
        op.create_index(f"ix_{table}_{'_'.join(columns)}", table, columns, unique=False)
