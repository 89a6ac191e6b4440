"""Model folders: saved, described, shared and exported."""
