"""Disclosure: what a codec may have changed, said in the file, in a signed manifest, and to the eye."""
