"""Synthetic corpora in the exact on-disk formats, with known effects planted in them."""
