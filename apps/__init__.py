"""Example applications: each is started by one command, see README.md; nothing imports them."""
