"""GBV-Net and how it is trained."""
