"""How servers are measured: clients that load them, what their processes cost, what the figures say."""
