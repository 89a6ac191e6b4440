"""Files: atomic writing, safe reading, downloads; videos and the landmark model."""
