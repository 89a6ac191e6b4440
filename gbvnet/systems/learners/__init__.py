"""Base classes and learning methods that systems share."""
