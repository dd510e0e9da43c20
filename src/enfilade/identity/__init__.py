"""Who requests come from, where somebody else vouches for them."""
