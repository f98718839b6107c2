"""What the provider formats share: reading dicts, and what may go on the wire."""
