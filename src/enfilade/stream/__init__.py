"""Raw TCP and UDP services: what comes in is not looked into, but passed on to a peer, and back."""
