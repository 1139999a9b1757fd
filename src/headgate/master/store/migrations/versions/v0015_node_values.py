"""Values of nodes: of virtual hosts, and what a revision is for each node."""

import sqlalchemy as sa
from alembic import op

revision = "0015_node_values"
down_revision = "0014_drift"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds the values, the recipes of revisions, and the manifests of nodes."""
    op.add_column("virtual_hosts", sa.Column("nodes", sa.Text(), nullable=True))
    op.add_column("revisions", sa.Column("recipes", sa.Text(), nullable=True))
    op.create_table(
        "revision_nodes",
        sa.Column("organisation_id", sa.String(length=26), nullable=False),
        sa.Column("workspace_id", sa.String(length=26), nullable=False),
        sa.Column("id", sa.String(length=26), nullable=False),
        sa.Column("revision_id", sa.String(length=26), nullable=False),
        sa.Column("agent", sa.String(length=26), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.Column("manifest", sa.LargeBinary(), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_revision_nodes")),
        sa.UniqueConstraint(
            "revision_id", "agent", name=op.f("uq_revision_nodes_revision_id_agent")
        ),
    )
    for name in ("organisation_id", "workspace_id", "revision_id"):
        op.create_index(op.f(f"ix_revision_nodes_{name}"), "revision_nodes", [name], unique=False)
