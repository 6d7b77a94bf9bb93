"""The operations platform: rules, routes and dashboards, by themselves and around the running platform."""
