"""Two people decide which pictures are worth a labeler's time."""
