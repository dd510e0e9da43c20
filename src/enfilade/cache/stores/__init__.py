"""Where answers are kept: one file a store, all of them held to one contract (testing/stores.py)."""
