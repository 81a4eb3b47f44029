"""Programs as their users write them: small sites of each framework, and servers with their usual settings."""
