"""The gRPC face of policies."""
