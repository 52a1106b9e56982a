"""What others published, taken into a corpus."""
