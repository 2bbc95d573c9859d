"""The core: bytes, signatures, chains, folds; each by tables, properties and attacks."""
