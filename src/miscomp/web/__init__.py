"""Web pages over a store: the application, its protection, its pages and scripts. No torch in this process."""
