"""The command line, `bimt`: its commands, their options, and their output."""
