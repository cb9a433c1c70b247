"""MLflow: records of runs, their spool on disk, the process that writes them, and reading back."""
