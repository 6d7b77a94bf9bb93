"""What the gateway answers itself: health, metrics, version, profiles, and the page for operators."""
