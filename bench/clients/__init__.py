"""Load generators for what wrk and h2load cannot do. Each prints one line of JSON in the shape of `bench.loads.Load`."""
