"""Speed, as ratios measured side by side in one run. `python -m benchmarks` runs all, or those named."""
