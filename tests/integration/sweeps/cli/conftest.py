from support.command_line import bimt, bimt_json  # noqa: F401
