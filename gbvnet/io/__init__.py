"""Files: written whole, read safely, fetched; videos and the landmark model."""
