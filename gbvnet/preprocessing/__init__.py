"""Signals filtered and resampled, faces aligned, and both cut into windows."""
