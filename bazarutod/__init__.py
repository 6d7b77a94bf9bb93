"""The command of the operator, and what only it and the tests use. It may import everything; nobody imports it."""
