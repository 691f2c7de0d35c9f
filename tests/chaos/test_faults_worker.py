#!/usr/bin/env python3
"""The row of the fault matrix for the worker itself: tests/e2e/lib/faults_worker.py holds the faults, matrix.py says what
each must not change."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import faults_worker
import matrix
from case import main

Faults = matrix.tests("worker", faults_worker.FAULTS)

if __name__ == "__main__":
    main(at_once=matrix.AT_ONCE)
