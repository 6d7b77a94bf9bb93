"""The rules of rating, with no I/O."""
