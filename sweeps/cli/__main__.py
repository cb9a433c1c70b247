"""Runs the command line: python -m sweeps.cli."""

from sweeps.cli.main import main

if __name__ == "__main__":
    main()
