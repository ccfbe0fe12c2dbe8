"""Reports: one HTML page that needs nothing beside itself."""
