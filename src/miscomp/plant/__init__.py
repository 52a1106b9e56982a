"""Known miscompressions: changes of meaning made in photographs, coded, and written down with their places."""
