"""The service with real servers: PostgreSQL, an MLflow server that requires passwords, an S3 API, several Ray nodes."""
