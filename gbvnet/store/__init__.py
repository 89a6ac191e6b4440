"""The store of windows: written, prepared, read, and read in other ways."""
