"""Recipes and fixed folds, shipped inside the package as data."""
