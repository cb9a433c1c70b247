"""The sweep service."""
