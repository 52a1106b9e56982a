"""Descriptions: a vision-language model says what it sees on both sides of a finding. Evidence, never a score."""
