"""File formats of signals, and the units, clocks and pauses that they tell."""
