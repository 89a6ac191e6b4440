"""Features of signals and faces that systems use."""
