"""Who enforces egress rules in a cluster, concluded from what is known of it: the order in `order`, one module for each cloud."""
