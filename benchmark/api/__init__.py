"""htbench from Python; `benchmark` itself is the face of this room."""
