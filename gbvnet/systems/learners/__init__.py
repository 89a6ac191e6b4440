"""What systems learn with, beside GBV-Net itself."""
