"""The reference of the API, from the contracts: for tools at `/openapi.json`, for people at `/docs`."""
