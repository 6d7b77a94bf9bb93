"""gRPC as the platform speaks it: servers with health, reflection and drain; clients with deadlines and retries."""
