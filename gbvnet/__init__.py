"""Emotion recognition from a face video together with physiological signals, compared without leaks."""

__version__ = "0.1.0"
