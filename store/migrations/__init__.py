"""Schema migrations, run by store.schema."""
