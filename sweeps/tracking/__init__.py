"""MLflow: what is recorded, the spool on disk, the writer, and reading back. MLflow is here only."""
