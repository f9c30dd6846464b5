"""Faults of every kind, done many times to small real runs: `make campaign`, which is no part of `make test`."""
