"""What each provider makes of egress rules: one module each, one function from rules to objects, and one that says what it cannot say exactly."""
