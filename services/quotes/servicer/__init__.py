"""The gRPC face of quotes: parse, load, decide, save, reply."""
