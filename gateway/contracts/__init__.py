"""What the contracts say: descriptors, path templates, fields that a text names, and the route table."""
