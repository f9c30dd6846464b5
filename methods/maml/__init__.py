"""Optimisation-based meta-learning: a network whose initial weights a few gradient steps turn into a solution."""
