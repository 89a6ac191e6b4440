"""Cross-validation, comparison, audit, transfer, training and explanation, as folders of runs."""
