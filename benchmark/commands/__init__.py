"""The commands of `htbench`, one file per group; `benchmark.cli` puts them together."""
