"""Rate limits: how many requests of a kind may go through, counted over all workers."""
