"""The tests of the platform: unit, integration, e2e, faults and performance."""
