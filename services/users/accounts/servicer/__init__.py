"""The gRPC face of accounts: parse, load, decide, save, reply."""
