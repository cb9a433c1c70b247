"""The commands of `bimt`, their options, and how they print."""
