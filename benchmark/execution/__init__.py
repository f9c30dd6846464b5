"""Running cells: one process per cell."""
