"""The sets that objects belong to, with the index of their list."""

import sqlalchemy as sa
from alembic import op

revision = "0019_sets"
down_revision = "0018_approvals"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the set of resources, templates and virtual hosts; what there is belongs to the default
    set."""
    for table in ("resources", "templates", "virtual_hosts"):
        column = sa.Column(
            "set_name", sa.String(length=63), nullable=False, server_default="default"
        )
        op.add_column(table, column)
    columns = ["workspace_id", "set_name", "path"]
    op.create_index(f"ix_resources_{'_'.join(columns)}", "resources", columns, unique=False)
