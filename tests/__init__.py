"""Before anything brings OpenBLAS: as many processes as cores work at once, so each has one thread for it."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
