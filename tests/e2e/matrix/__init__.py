"""Programs that download while replicas die; one fleet serves them all and ends behind the last of them."""
