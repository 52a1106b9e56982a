"""What labelers are given, and what they hand back as tables."""
