"""`python -m fanlight_collectors.cli` is `fanlight`."""

import sys

from fanlight_collectors.cli import main

sys.exit(main())
