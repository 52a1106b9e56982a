"""What a corpus is published as: one module a format."""
