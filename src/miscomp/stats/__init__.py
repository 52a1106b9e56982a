"""Agreement of labelers, and the tables and figures of a corpus; a detector is a labeler here."""
