"""``python -m semagram`` is the command ``semagram``."""

import sys

from semagram.cli import main

sys.exit(main())
