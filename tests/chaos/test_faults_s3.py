#!/usr/bin/env python3
"""The row of the fault matrix for an S3 service: tests/e2e/lib/faults_s3.py holds the faults, matrix.py says what each must not
change."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import faults_s3
import matrix
from case import main

Faults = matrix.tests("s3", faults_s3.FAULTS)

if __name__ == "__main__":
    main(at_once=matrix.AT_ONCE)
