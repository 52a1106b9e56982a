"""Find, measure, prevent and disclose miscompressions: places where a lossy codec changed what a picture means."""
