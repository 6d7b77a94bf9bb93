"""Between HTTP and messages: path, query and JSON to a request's bytes, a reply's bytes to JSON."""
