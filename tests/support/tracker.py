"""A tracker without MLflow."""

from sweeps.tracking.record import Record


class MemoryTracker:
    """Keeps records in memory: the part of a tracker that the driver's steps use."""

    problem: str | None = None

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(self, record: Record) -> None:
        self.records.append(record)

    def statuses(self) -> dict[str, str]:
        """Last status of each run, by name."""
        return {r.name: r.status for r in self.records if r.status is not None}
