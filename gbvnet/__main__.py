"""`python -m gbvnet` is `gbvnet`."""

import sys

from .cli.main import main

if __name__ == "__main__":
    sys.exit(main())
