"""The catalogue: products as versioned data that is read, checked and published."""
