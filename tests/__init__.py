"""One thread of OpenBLAS a process, said before anything brings it: others use the other cores."""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
