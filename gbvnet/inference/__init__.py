"""A trained model on new recordings."""
