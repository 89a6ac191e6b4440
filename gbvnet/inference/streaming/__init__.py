"""Prediction in real time, from a camera, a stream or files."""
