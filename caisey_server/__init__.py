"""The relay: it admits, puts in order, keeps and fans out records, and decides nothing else.

It can read what passes, but can neither forge a record, nor reorder or drop one unnoticed, nor cause
anything to run. Whatever it can be asked is a projection of its log and can be rebuilt from it. It imports
`caisey_core` only.
"""
