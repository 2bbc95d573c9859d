"""Proof of what the packages promise: tables and properties for decisions, real processes at the edges."""
