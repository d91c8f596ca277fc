"""The embedded servers: started, watched and stopped by us. Knows no schema."""
