"""`python -m gbvnet` is `gbvnet`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
