"""Whether a corpus is what it says, what can be mended, and how a picture leaves it."""
