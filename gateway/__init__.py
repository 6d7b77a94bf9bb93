"""The HTTP front: turns HTTP/JSON into RPCs by what the contracts say. No business rule and no database."""
