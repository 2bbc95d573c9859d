"""Tests of the technician's program."""
