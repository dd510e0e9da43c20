"""The applications that are served: each the least that shows the work."""
