"""Makes published data sets anew, from their recipes."""
