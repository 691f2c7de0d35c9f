#!/usr/bin/env python3
"""The row of the fault matrix for a broker: tests/e2e/lib/faults_kafka.py holds the faults, matrix.py says what each must not
change."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e" / "lib"))

import faults_kafka
import matrix
from case import main

Faults = matrix.tests("kafka", faults_kafka.FAULTS)

if __name__ == "__main__":
    main(at_once=matrix.AT_ONCE)
