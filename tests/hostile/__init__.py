"""A relay that wants an endpoint to run what nobody approved, and the proof that it does not."""
