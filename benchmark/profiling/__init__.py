"""How fast methods train and classify: what `htbench profile` measures and writes to `results/profile/`."""
