"""The services of the platform: one folder each, the same rooms in each. They know each other by contract only."""
