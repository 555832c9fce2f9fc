"""From a world to what should be there and what the status says; pure."""
