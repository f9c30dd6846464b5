"""Equal tuning: as many validation trials for every method of a grid, and a grid with what they found."""
