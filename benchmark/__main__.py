"""`python -m benchmark`: the `htbench` command."""

from benchmark.cli import main

main()
