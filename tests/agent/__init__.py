"""Tests of the endpoint's program."""
