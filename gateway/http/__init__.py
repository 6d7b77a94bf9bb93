"""HTTP itself: requests, answers, errors, media types, conditions, and what is observed. It knows no contract."""
