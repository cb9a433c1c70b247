"""The service on real parts: PostgreSQL, an MLflow server that asks who is there, an S3 API, several Ray nodes."""
