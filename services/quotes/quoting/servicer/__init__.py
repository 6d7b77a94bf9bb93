"""The gRPC face of quoting."""
