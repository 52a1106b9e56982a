"""Pictures become reconstructions: a queue of independent tasks, engines that run them, and what comes back."""
