"""The session view: a full screen around the same controller that `caisey run` uses, and a fold of the same records.

It decides nothing. The only package that imports Textual; `view` is its one door.
"""
